/* What is drawn of a take, made on a thread.
 *
 *	picture_ask()	writes what is wanted, and ends what is being made
 *	run()		takes it: the whole take first, from the disk where it was made
 *			before, then the part that is shown
 *	publish()	copies finished columns into what picture_look() shows
 *
 * The thread alone has file, samples and spectrum, on which others help it while it
 * makes a matrix; under the lock are the wish and the two matrices. */
#include "tui/picture.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/pool.h"
#include "library/cache_dir.h"
#include "tui/thread.h"

enum {
	SLICE = 64,           /* transforms before somebody else is heard */
	THREADS_MAX = 4,      /* that make one picture */
	CACHE_MAX = 64 << 20, /* bytes: pictures of 256 takes */
	FILE_VERSION = 1,
};

static const double PUBLISH_S = 0.04; /* how often what has come is told */
static const double TINY_S = 1e-4;    /* spans are of whole frames */
static const char file_magic[8] = "WSHDPIC";

/* What a picture of a whole take is on the disk; the byte order of the machine. */
struct picture_file {
	char magic[8];
	int32_t version, columns, rows, scale, fft, rate_hz;
	double low_db, high_db, length_s;
	uint8_t wave[PICTURE_COLUMNS];
	uint8_t levels[PICTURE_COLUMNS * PICTURE_ROWS];
};

struct wish {
	char *path; /* owned; NULL: nothing */
	enum spectrum_scale scale;
	int fft;
	struct interval span;
};

struct picture {
	pthread_t thread;
	char *cache; /* owned, or NULL */
	int wake_fd;
	atomic_uint n_asked; /* what is made for an older number ends */

	pthread_mutex_t lock; /* for all that follows */
	pthread_cond_t asked;
	bool wants_end;
	struct wish wish;
	struct picture_matrix whole, part;
	struct picture_view view;
	struct spectrum *axis; /* owned */
	char failed[256];

	/* The thread's. */
	struct wish now, made; /* that is worked on; that `whole` is of */
	unsigned number;       /* of `now` */
	struct audio audio;    /* of now.path; empty: not read */
	double published;
};

/* ---- telling ------------------------------------------------------------ */

static void wake(const struct picture *p)
{
	eventfd_write(p->wake_fd, 1);
}

static bool is_outdated(const struct picture *p)
{
	return atomic_load(&p->n_asked) != p->number;
}

/* ---- making ------------------------------------------------------------- */

static struct spectrum_desc desc_of(const struct wish *w, int rate_hz, size_t n_frames)
{
	return (struct spectrum_desc){
		.n_frames = n_frames,
		.channels = 1,
		.rate_hz = rate_hz,
		.columns = PICTURE_COLUMNS,
		.rows = PICTURE_ROWS,
		.fft = w->fft,
		.low_db = PICTURE_LOW_DB,
		.high_db = PICTURE_HIGH_DB,
		.scale = w->scale,
	};
}

/* Frames of a take, as `columns` of a matrix. */
struct stretch {
	size_t begin, end;
	int columns;
};

struct wave {
	const struct audio *audio;
	const struct stretch *of;
	uint8_t *ret;
};

/* The greatest magnitude of a column. */
static void make_wave(void *ud, size_t i)
{
	const struct wave *w = ud;
	const struct audio *a = w->audio;
	const struct stretch *x = w->of;
	const size_t channels = (size_t)a->channels, n = (size_t)x->columns,
		     all = x->end - x->begin;
	size_t from = x->begin + all * i / n, to = x->begin + all * (i + 1) / n;
	float peak = 0;

	to = to > from ? to : from + 1;
	to = to < a->n_frames ? to : a->n_frames;
	for (size_t k = from * channels; k < to * channels; k++) {
		float magnitude = fabsf(a->samples[k]);

		peak = magnitude > peak ? magnitude : peak;
	}
	w->ret[i] = (uint8_t)lrintf(255 * fminf(peak, 1));
}

/* The lock is held.  From now on the matrix is of that stretch, and empty. */
static void empty(const struct picture *p, struct picture_matrix *m, const struct stretch *x)
{
	const double rate = p->audio.rate_hz;

	m->span = (struct interval){(double)x->begin / rate, (double)x->end / rate};
	m->columns = x->columns;
	m->n_coarse = m->n_done = 0;
	memset(m->wave, 0, sizeof(m->wave));
}

/* The lock is held.  Takes over what a spectrum has and the matrix has not. */
static void take_over(struct picture_matrix *m, const struct spectrum *s)
{
	size_t coarse = spectrum_coarse(s), done = spectrum_done(s);
	bool is_first = coarse > m->n_coarse;
	size_t from = is_first ? 0 : m->n_done;

	spectrum_read(s, from, (is_first ? coarse : done) - from, m->levels + from * PICTURE_ROWS);
	m->n_coarse = coarse;
	m->n_done = done;
}

/* Works, and tells what comes: the coarse pass as a whole, then columns. */
static void work_visibly(struct picture *p, struct picture_matrix *m, struct spectrum *s,
	const struct stretch *x, const uint8_t *wave)
{
	pthread_mutex_lock(&p->lock);
	empty(p, m, x);
	memcpy(m->wave, wave, sizeof(m->wave));
	pthread_mutex_unlock(&p->lock);
	while (!is_outdated(p) && spectrum_work(s, SLICE)) {
		if (spectrum_coarse(s) < (size_t)x->columns ||
			(m->n_coarse && clock_now() - p->published < PUBLISH_S))
			continue;
		pthread_mutex_lock(&p->lock);
		take_over(m, s);
		pthread_mutex_unlock(&p->lock);
		p->published = clock_now();
		wake(p);
	}
}

static int threads(void)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (int)n;
}

/* Fills a matrix.  is_late: what it holds is good until all is there. */
static int make(struct picture *p, struct picture_matrix *m, const struct stretch *x, bool is_late,
	struct err *e)
{
	struct spectrum_desc d = desc_of(&p->now, p->audio.rate_hz, p->audio.n_frames);
	uint8_t wave[PICTURE_COLUMNS] = {0};
	struct spectrum *s = NULL;
	int rc = pool_open(threads(), &d.pool, e);

	if (rc)
		return rc;
	d.samples = p->audio.samples;
	d.channels = p->audio.channels;
	d.begin = x->begin;
	d.end = x->end;
	d.columns = x->columns;
	rc = spectrum_open(&d, &s, e);
	if (!rc)
		pool_run(d.pool, (size_t)x->columns, make_wave, &(struct wave){&p->audio, x, wave});
	if (!rc && !is_late)
		work_visibly(p, m, s, x, wave);
	while (!rc && !is_outdated(p) && spectrum_work(s, SLICE))
		;
	if (!rc && spectrum_done(s) == (size_t)x->columns) {
		pthread_mutex_lock(&p->lock);
		if (is_late)
			empty(p, m, x);
		take_over(m, s);
		memcpy(m->wave, wave, sizeof(wave));
		pthread_mutex_unlock(&p->lock);
		wake(p);
	}
	spectrum_close(s);
	pool_close(d.pool);
	return rc;
}

static int read_audio(struct picture *p, struct err *e)
{
	if (p->audio.samples)
		return 0;
	return audio_read(&(struct audio_read_desc){.path = p->now.path}, &p->audio, e);
}

/* The axes know rate and length, and no samples. */
static int tell_length(struct picture *p, int rate_hz, double length_s, struct err *e)
{
	struct spectrum_desc d = desc_of(&p->now, rate_hz, 0);
	struct spectrum *axis;
	int rc;

	d.columns = d.rows = 1;
	rc = spectrum_open(&d, &axis, e);
	if (rc)
		return rc;
	pthread_mutex_lock(&p->lock);
	spectrum_close(p->axis);
	p->view.axis = p->axis = axis;
	p->view.rate_hz = rate_hz;
	p->view.length_s = length_s;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* ---- on the disk -------------------------------------------------------- */

static struct picture_file header_of(const struct wish *w, int rate_hz, double length_s)
{
	struct picture_file f = {
		.version = FILE_VERSION,
		.columns = PICTURE_COLUMNS,
		.rows = PICTURE_ROWS,
		.scale = (int32_t)w->scale,
		.fft = w->fft,
		.rate_hz = rate_hz,
		.low_db = PICTURE_LOW_DB,
		.high_db = PICTURE_HIGH_DB,
		.length_s = length_s,
	};

	memcpy(f.magic, file_magic, sizeof(f.magic));
	return f;
}

static const char *cached_name(const struct picture *p, struct arena *a)
{
	const char *how = arena_printf(a, "picture %d %d %d %d", FILE_VERSION, (int)p->now.scale,
		p->now.fft, PICTURE_ROWS);

	return p->cache ? cache_dir_name(p->cache, p->now.path, how, "picture", a) : NULL;
}

/* Levels may be anything, they are only drawn; what is computed with is compared, or
 * within bounds. */
static bool is_ours(const struct picture *p, const struct picture_file *f)
{
	struct picture_file own = header_of(&p->now, f->rate_hz, f->length_s);

	return !memcmp(f, &own, offsetof(struct picture_file, wave)) &&
	       f->rate_hz >= AUDIO_RATE_MIN && f->rate_hz <= AUDIO_RATE_MAX && f->length_s > 0 &&
	       f->length_s < 1e7;
}

static bool read_cached(struct picture *p)
{
	struct picture_file *f = xcalloc(1, sizeof(*f));
	struct arena a = {0};
	const char *name = cached_name(p, &a);
	bool ok = name && !cache_dir_read(name, f, sizeof(*f), NULL) && is_ours(p, f) &&
		  !tell_length(p, f->rate_hz, f->length_s, NULL);

	if (ok) {
		cache_dir_touch(name);
		pthread_mutex_lock(&p->lock);
		p->whole.span = (struct interval){0, f->length_s};
		p->whole.columns = PICTURE_COLUMNS;
		memcpy(p->whole.wave, f->wave, sizeof(f->wave));
		memcpy(p->whole.levels, f->levels, sizeof(f->levels));
		p->whole.n_coarse = p->whole.n_done = PICTURE_COLUMNS;
		pthread_mutex_unlock(&p->lock);
		wake(p);
	}
	arena_done(&a);
	free(f);
	return ok;
}

/* That nothing can be kept is no reason not to show it. */
static void write_cached(const struct picture *p)
{
	struct arena a = {0};
	const char *name = cached_name(p, &a);

	if (name && p->whole.n_done == PICTURE_COLUMNS && !cache_dir_make(p->cache, NULL)) {
		struct picture_file *f = xcalloc(1, sizeof(*f));

		*f = header_of(&p->now, p->audio.rate_hz, p->whole.span.end);
		memcpy(f->wave, p->whole.wave, sizeof(f->wave));
		memcpy(f->levels, p->whole.levels, sizeof(f->levels));
		cache_dir_trim(p->cache, CACHE_MAX - sizeof(*f), name);
		cache_dir_write(name, f, sizeof(*f), NULL);
		free(f);
	}
	arena_done(&a);
}

/* ---- the thread --------------------------------------------------------- */

static bool is_same_picture(const struct wish *a, const struct wish *b)
{
	return a->path && b->path && !strcmp(a->path, b->path) && a->scale == b->scale &&
	       a->fft == b->fft;
}

static void keep_wish(struct wish *to, const struct wish *from)
{
	char *path = from->path ? xstrdup(from->path) : NULL;

	free(to->path);
	*to = *from;
	to->path = path;
}

static int make_whole(struct picture *p, struct err *e)
{
	int rc = 0;

	if (is_same_picture(&p->now, &p->made))
		return 0;
	free(p->made.path);
	p->made.path = NULL;
	if (!read_cached(p)) {
		rc = read_audio(p, e);
		if (!rc)
			rc = tell_length(p, p->audio.rate_hz,
				(double)p->audio.n_frames / p->audio.rate_hz, e);
		if (!rc)
			rc = make(p, &p->whole,
				&(struct stretch){0, p->audio.n_frames, PICTURE_COLUMNS}, false, e);
		if (rc || is_outdated(p))
			return rc;
		write_cached(p);
	}
	keep_wish(&p->made, &p->now);
	return 0;
}

/* The part that is shown, and the next as long, half of the columns each.  Columns
 * are as wide when there is less behind. */
static struct stretch part_of(const struct picture *p, const struct interval *s)
{
	const double rate = p->audio.rate_hz, begin = fmax(0, round(s->begin * rate)),
		     width = round((s->end - s->begin) * rate);
	const double end = fmin(begin + 2 * width, (double)p->audio.n_frames);

	return (struct stretch){(size_t)begin, (size_t)end,
		(int)fmin(PICTURE_COLUMNS, ceil(PICTURE_COLUMNS * (end - begin) / (2 * width)))};
}

static int make_part(struct picture *p, struct err *e)
{
	const struct interval s = p->now.span;
	struct stretch x;
	int rc;

	if (!(s.end > s.begin) || s.end - s.begin >= p->view.length_s || is_outdated(p))
		return 0;
	rc = read_audio(p, e);
	if (rc)
		return rc;
	x = part_of(p, &s);
	/* Where there was a part, it or the whole is shown until the new one is ready. */
	return x.end > x.begin ? make(p, &p->part, &x, p->part.span.end > 0, e) : 0;
}

/* Takes the wish; the lock is held. */
static void begin(struct picture *p)
{
	bool is_other_file =
		!p->now.path || !p->wish.path || strcmp(p->now.path, p->wish.path) != 0;

	keep_wish(&p->now, &p->wish);
	p->number = atomic_load(&p->n_asked);
	p->failed[0] = 0;
	p->view.failed = NULL;
	if (is_other_file)
		audio_done(&p->audio);
	if (!is_same_picture(&p->now, &p->made))
		p->whole.span = p->part.span = (struct interval){0};
	if (is_other_file)
		p->view.length_s = 0;
}

/* Makes what is wanted; the samples stay as long as a part is shown. */
static void work(struct picture *p)
{
	struct err e = {0};
	int rc = make_whole(p, &e);

	if (!rc)
		rc = make_part(p, &e);
	if (!(p->now.span.end > p->now.span.begin))
		audio_done(&p->audio);
	pthread_mutex_lock(&p->lock);
	if (rc && !is_outdated(p)) {
		snprintf(p->failed, sizeof(p->failed), "%.200s", e.text);
		p->view.failed = p->failed;
	}
	p->view.is_working = is_outdated(p);
	pthread_mutex_unlock(&p->lock);
	wake(p);
}

static void *run(void *ud)
{
	struct picture *p = ud;

	pthread_mutex_lock(&p->lock);
	while (!p->wants_end) {
		if (atomic_load(&p->n_asked) == p->number) {
			pthread_cond_wait(&p->asked, &p->lock);
			continue;
		}
		begin(p);
		pthread_mutex_unlock(&p->lock);
		if (p->now.path)
			work(p);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- the UI's side ------------------------------------------------------ */

int picture_open(const char *cache, int wake_fd, struct picture **ret, struct err *e)
{
	struct picture *p = xcalloc(1, sizeof(*p));
	int why;

	p->cache = cache ? xstrdup(cache) : NULL;
	p->wake_fd = wake_fd;
	p->view.whole = &p->whole;
	p->view.part = &p->part;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->asked, NULL);
	why = thread_start(&p->thread, run, p);
	if (!why) {
		*ret = p;
		return 0;
	}
	free(p->cache);
	free(p);
	return err_errno(e, why, "cannot start a thread");
}

void picture_close(struct picture *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->wants_end = true;
	atomic_fetch_add(&p->n_asked, 1);
	pthread_cond_broadcast(&p->asked);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->asked);
	pthread_mutex_destroy(&p->lock);
	audio_done(&p->audio);
	spectrum_close(p->axis);
	free(p->wish.path);
	free(p->now.path);
	free(p->made.path);
	free(p->cache);
	free(p);
}

void picture_ask(struct picture *p, const struct picture_desc *d)
{
	const struct wish w = {
		(char *)d->path, d->scale, d->fft ? d->fft : 2048, d->span}; /* copied */

	pthread_mutex_lock(&p->lock);
	keep_wish(&p->wish, &w);
	p->view.is_working = w.path != NULL;
	atomic_fetch_add(&p->n_asked, 1);
	pthread_cond_broadcast(&p->asked);
	pthread_mutex_unlock(&p->lock);
}

const struct picture_view *picture_look(struct picture *p)
{
	pthread_mutex_lock(&p->lock);
	return &p->view;
}

void picture_leave(struct picture *p)
{
	pthread_mutex_unlock(&p->lock);
}

static bool covers(const struct picture_matrix *m, const struct interval *s)
{
	return m->span.end > 0 && m->n_done == (size_t)m->columns &&
	       m->span.begin <= s->begin + TINY_S && m->span.end >= s->end - TINY_S;
}

bool picture_covers(struct picture *p, const struct interval *s)
{
	bool is_there;

	pthread_mutex_lock(&p->lock);
	is_there = covers(&p->part, s) || !p->view.is_working;
	pthread_mutex_unlock(&p->lock);
	return is_there;
}
