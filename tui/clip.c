/* Clips of files. */
#include "tui/player.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "tui/thread.h"

struct file_clip {
	struct mixer_clip clip; /* first: what others hold points to it */
	struct audio dry, wet;
	char shortfall[AUDIO_SHORTFALL_MAX];
};

static int load(
	struct file_clip *f, const char *path, const char *wet_path, int rate_hz, struct err *e)
{
	int rc =
		audio_read(&(struct audio_read_desc){.path = path, .rate_hz = rate_hz}, &f->dry, e);

	if (!rc && wet_path)
		rc = audio_read(&(struct audio_read_desc){.path = wet_path, .rate_hz = rate_hz},
			&f->wet, e);
	if (rc)
		return rc;
	if (wet_path && (f->dry.n_frames != f->wet.n_frames || f->dry.channels != f->wet.channels))
		return err_set(e, ERR_FORMAT,
			"'%s' is not as long as '%s', or has other channels; denoise it again",
			wet_path, path);
	audio_shortfall(&f->dry, f->shortfall);
	f->clip = (struct mixer_clip){
		.dry = f->dry.samples,
		.wet = f->wet.samples,
		.n_frames = f->dry.n_frames,
		.channels = f->dry.channels,
	};
	return 0;
}

int clip_load(const char *path, const char *wet_path, int rate_hz, const struct mixer_clip **ret,
	struct err *e)
{
	struct file_clip *f = xcalloc(1, sizeof(*f));
	int rc = load(f, path, wet_path, rate_hz, e);

	if (rc)
		clip_free(&f->clip);
	*ret = rc ? NULL : &f->clip;
	return rc;
}

const char *clip_shortfall(const struct mixer_clip *clip)
{
	return ((const struct file_clip *)clip)->shortfall;
}

void clip_free(const struct mixer_clip *clip)
{
	struct file_clip *f = (struct file_clip *)clip;

	if (!f)
		return;
	audio_done(&f->dry);
	audio_done(&f->wet);
	free(f);
}

/* ---- on a thread -------------------------------------------------------- */

struct clip_loading {
	pthread_t thread;
	char *path, *wet_path; /* owned */
	int rate_hz, event_fd;
	const struct mixer_clip *clip;
	int rc;
	struct err e;
	atomic_bool is_done;
};

static void *run_loading(void *ud)
{
	struct clip_loading *l = ud;

	l->rc = clip_load(l->path, l->wet_path, l->rate_hz, &l->clip, &l->e);
	atomic_store(&l->is_done, true);
	if (l->event_fd >= 0)
		eventfd_write(l->event_fd, 1);
	return NULL;
}

static void free_loading(struct clip_loading *l)
{
	free(l->path);
	free(l->wet_path);
	free(l);
}

int clip_loading_begin(const char *path, const char *wet_path, int rate_hz, int event_fd,
	struct clip_loading **ret, struct err *e)
{
	struct clip_loading *l = xcalloc(1, sizeof(*l));
	int why;

	l->path = xstrdup(path);
	l->wet_path = wet_path ? xstrdup(wet_path) : NULL;
	l->rate_hz = rate_hz;
	l->event_fd = event_fd;
	why = thread_start(&l->thread, run_loading, l);
	if (!why) {
		*ret = l;
		return 0;
	}
	free_loading(l);
	return err_errno(e, why, "cannot start a thread");
}

bool clip_loading_is_done(const struct clip_loading *l)
{
	return atomic_load(&l->is_done);
}

int clip_loading_end(struct clip_loading *l, const struct mixer_clip **ret, struct err *e)
{
	int rc;

	pthread_join(l->thread, NULL);
	*ret = l->clip;
	rc = l->rc ? err_set(e, l->rc, "%s", l->e.text) : 0;
	free_loading(l);
	return rc;
}
