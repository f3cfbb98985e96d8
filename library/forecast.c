/* Forecasts from measured history. */
#include "library/forecast.h"

#include <math.h>
#include <stdlib.h>

#include "library/base/err.h"
#include "library/db.h"

enum { SEEN_MAX = 15, KEPT = 200 };

int forecast_measured(struct db *db, const struct measure *m, int64_t now_ms, struct err *e)
{
	int rc = db_run(db, e,
		"INSERT INTO measures(model, device, precision, seconds, steps, takes, load_s, "
		"wall_s,"
		" bytes, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
		"tttdiiddii", m->model, m->device, m->precision, m->seconds, m->steps, m->takes,
		m->load_s, m->wall_s, (int64_t)m->bytes, now_ms);

	if (rc)
		return rc;
	return db_run(db, e,
		"DELETE FROM measures WHERE model = ?1 AND id <= (SELECT id FROM measures WHERE "
		"model = ?1"
		" ORDER BY id DESC LIMIT 1 OFFSET ?2)",
		"ti", m->model, (int64_t)KEPT);
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median: one render beside a heavy compile must not spoil the rest. */
static double median(double *v, size_t n)
{
	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), ascending);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static int last_length(struct db *db, const char *model, double *ret, struct err *e)
{
	struct query q = db_query(db,
		"SELECT seconds FROM measures WHERE model = ?1 ORDER BY id DESC LIMIT 1", "t",
		model);

	*ret = query_next(&q) ? query_num(&q, 0) : 0;
	return query_done(&q, e);
}

int forecast_take(struct db *db, const char *model, const char *device, double seconds,
	struct forecast *ret, struct err *e)
{
	double rate[SEEN_MAX], size[SEEN_MAX], load[SEEN_MAX];
	size_t n = 0, n_loads = 0;
	/* Per second of music; the cost of a second grows with the take, so those of
	 * about this length tell most. */
	int rc = seconds > 0 ? 0 : last_length(db, model, &seconds, e);
	struct query q;

	*ret = (struct forecast){.load_s = NAN, .wall_s = NAN, .seconds = seconds};
	if (rc)
		return rc;
	q = db_query(db,
		"SELECT wall_s / (seconds * takes), 1.0 * bytes / (seconds * takes), load_s FROM"
		" (SELECT * FROM measures WHERE model = ?1 AND device = coalesce(?2,"
		"  (SELECT device FROM measures WHERE model = ?1 ORDER BY id DESC LIMIT 1))"
		"  AND seconds > 0 ORDER BY id DESC LIMIT 100)"
		" ORDER BY abs(ln(seconds / ?3)), id DESC",
		"ttd", model, device, seconds > 0 ? seconds : 1.0);
	while (query_next(&q)) {
		if (n < SEEN_MAX) {
			rate[n] = query_num(&q, 0);
			size[n++] = query_num(&q, 1);
		}
		if (n_loads < SEEN_MAX && query_num(&q, 2) > 0)
			load[n_loads++] = query_num(&q, 2);
	}
	rc = query_done(&q, e);
	if (rc || !n)
		return rc;
	ret->n_seen = (int64_t)n;
	ret->wall_s = median(rate, n) * seconds;
	ret->bytes = (uint64_t)(median(size, n) * seconds);
	ret->load_s = median(load, n_loads);
	return 0;
}

/* Jobs of one model and length cost the same: the query tells for each how many there
 * are, and how many whole ones that is. */
static int add_up(struct db *db, struct query q, struct forecast_ahead *ret, struct err *e)
{
	int rc = 0, why;

	*ret = (struct forecast_ahead){0};
	while (!rc && query_next(&q)) {
		const char *seconds = query_text(&q, 1);
		struct forecast f;

		rc = forecast_take(
			db, query_text(&q, 0), NULL, seconds ? strtod(seconds, NULL) : 0, &f, e);
		ret->jobs += query_int(&q, 2);
		ret->wall_s += rc ? 0 : f.wall_s * query_num(&q, 3);
	}
	why = query_done(&q, e);
	return rc ? rc : why;
}

int forecast_ahead(struct db *db, struct forecast_ahead *ret, struct err *e)
{
	/* Of one at work a part is done, which the steps of its rendering tell, and those of
	 * loading or reading do not. */
	return add_up(db,
		db_query(db,
			"SELECT model, seconds, count(*),"
			" sum(CASE WHEN state = 'rendering' AND stage = 'render' AND total > 0"
			"  THEN 1 - min(1.0 * done / total, 1) ELSE 1 END)"
			" FROM jobs WHERE state IN ('queued', 'claimed', 'rendering') AND NOT held"
			" GROUP BY model, seconds",
			""),
		ret, e);
}

int forecast_behind(struct db *db, size_t n, struct forecast_ahead *ret, struct err *e)
{
	return add_up(db,
		db_query(db,
			"SELECT model, seconds, count(*), count(*) FROM"
			" (SELECT model, seconds, held FROM jobs WHERE state = 'queued'"
			"  ORDER BY priority DESC, place, id LIMIT -1 OFFSET ?1)"
			" WHERE NOT held GROUP BY model, seconds",
			"i", (int64_t)n),
		ret, e);
}
