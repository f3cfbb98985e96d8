/* What queueing will cost, in words. */
#include "tui/compose_cost.h"

#include <math.h>
#include <stdio.h>

#include "library/base/str.h"

static const char *duration(double s, char out[32])
{
	if (s < 0.05)
		snprintf(out, 32, "under 0.1 s");
	else if (s < 9.95)
		snprintf(out, 32, "%.1f s", s);
	else if (s < 99.5)
		snprintf(out, 32, "%.0f s", s);
	else if (s < 5970)
		snprintf(out, 32, "%.0f min", s / 60);
	else
		snprintf(out, 32, "%.1f h", s / 3600);
	return out;
}

static uint64_t all(const struct compose_count *n)
{
	return n->prompts * n->settings * n->takes;
}

/* " (2 prompts × 3 settings × 4 takes)" where it is more than takes. */
static void tell_count(const struct compose_count *n, struct str *out)
{
	const char *by = " (";

	if (n->prompts <= 1 && n->settings <= 1)
		return;
	if (n->prompts > 1) {
		str_printf(out, "%s%llu prompts", by, (unsigned long long)n->prompts);
		by = " \u00d7 ";
	}
	if (n->settings > 1) {
		str_printf(out, "%s%llu settings", by, (unsigned long long)n->settings);
		by = " \u00d7 ";
	}
	if (n->takes > 1)
		str_printf(out, "%s%llu takes", by, (unsigned long long)n->takes);
	str_add(out, ")");
}

static void tell_start(const struct compose_cost *c, struct str *out)
{
	const struct forecast_ahead *a = &c->ahead;
	const char *s = a->jobs == 1 ? "" : "s";
	char time[32];

	if (c->is_paused)
		str_add(out, ", starts when the queue goes on: it is paused");
	else if (!a->jobs)
		str_add(out, ", starts at once");
	else if (isnan(a->wall_s))
		str_printf(out, ", starts after %lld job%s", (long long)a->jobs, s);
	else
		str_printf(out, ", starts in ~%s (%lld job%s ahead)", duration(a->wall_s, time),
			(long long)a->jobs, s);
}

static bool tell_disk(const struct compose_cost *c, uint64_t bytes, struct str *out)
{
	char need[16], there[16];

	if (!bytes || c->bytes_free == UINT64_MAX)
		return false;
	if (bytes > c->bytes_free)
		str_printf(out, "the disk is too small: it needs %s, and %s are free; ",
			format_bytes(bytes, need), format_bytes(c->bytes_free, there));
	else if (c->bytes_free - bytes < COMPOSE_COST_LEFT_MB * UINT64_C(1000000))
		str_printf(out, "only %s of disk will be left; ",
			format_bytes(c->bytes_free - bytes, there));
	else
		return false;
	return true;
}

bool compose_cost_tell(const struct compose_cost *c, struct str *out)
{
	const uint64_t n = all(&c->n), bytes = c->take.bytes * n;
	const bool is_short = tell_disk(c, bytes, out);
	char text[32];

	str_printf(out, "F5 queues %llu take%s", (unsigned long long)n, n == 1 ? "" : "s");
	tell_count(&c->n, out);
	if (c->is_repeat)
		str_add(out, ", the same music once more (its seed is fixed)");
	if (isnan(c->take.wall_s))
		str_printf(out, ", time unknown until %s has rendered once", c->model);
	else
		str_printf(out, ", %s%s to render", duration(c->take.wall_s, text),
			n == 1 ? "" : " each");
	if (bytes)
		str_printf(out, ", %s", format_bytes(bytes, text));
	tell_start(c, out);
	return is_short;
}
