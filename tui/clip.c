/* Clips of files. */
#include "tui/player.h"

#include <stdlib.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"

struct file_clip {
	struct mixer_clip clip; /* first: what others hold points to it */
	struct audio dry, wet;
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

void clip_free(const struct mixer_clip *clip)
{
	struct file_clip *f = (struct file_clip *)clip;

	if (!f)
		return;
	audio_done(&f->dry);
	audio_done(&f->wet);
	free(f);
}
