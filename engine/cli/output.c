/* The files that a render writes, and what they say of themselves. */
#include "engine/cli/output.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/cli/render_options.h"
#include "engine/engine.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/sha256.h"
#include "library/base/str.h"
#include "library/globals.h"

enum {
	HEADER_BYTES = AUDIO_RECIPE_MAX + 4096, /* more than a file has besides its samples */
	PROMPT_IN_COMMENT = 1500,
};

const char *output_name(const char *file, uint64_t i, uint64_t count, struct arena *a)
{
	size_t n = strlen(file);

	if (count == 1)
		return arena_strdup(a, file);
	if (n > 4 && !strcasecmp(file + n - 4, ".wav") && file[n - 5] != '/')
		n -= 4;
	return arena_printf(a, "%.*s-%llu%s", (int)n, file, (unsigned long long)i + 1, file + n);
}

enum audio_format output_format(const char *name)
{
	if (!strcmp(name, "pcm24"))
		return AUDIO_PCM24;
	return !strcmp(name, "pcm16") ? AUDIO_PCM16 : AUDIO_FLOAT;
}

uint64_t output_sample_bytes(enum audio_format f)
{
	return f == AUDIO_PCM16 ? 2 : f == AUDIO_PCM24 ? 3 : 4;
}

static int check_room(const char *path, uint64_t n_bytes, struct err *e)
{
	const char *slash = strrchr(path, '/');
	struct statvfs fs;
	struct arena a = {0};
	const char *folder = !slash          ? "."
			     : slash == path ? "/"
					     : arena_strndup(&a, path, (size_t)(slash - path));
	char needed[16], there[16];
	uint64_t room;
	int rc = 0;

	/* Some file systems do not count (0 blocks). */
	if (!statvfs(folder, &fs) && fs.f_blocks) {
		room = (uint64_t)(geteuid() ? fs.f_bavail : fs.f_bfree) * fs.f_frsize;
		if (room < n_bytes)
			rc = err_set(e, ERR_IO,
				"the files need %s, but the disk of '%s' has %s left; free some or "
				"choose another folder",
				format_bytes(n_bytes, needed), folder, format_bytes(room, there));
	}
	arena_done(&a);
	return rc;
}

int output_check(const char *path, uint64_t n_bytes, struct err *e)
{
	/* The writer itself knows best: it is opened and thrown away. */
	const struct audio_writer_desc probe = {.path = path, .channels = 1, .rate_hz = 32000};
	struct audio_writer *w;
	int rc = audio_writer_open(&probe, &w, e);

	if (rc)
		return rc;
	audio_writer_close(w);
	return check_room(path, n_bytes + HEADER_BYTES, e);
}

static void add_continued(struct str *out, const char *file, const struct audio *audio)
{
	const char *slash = strrchr(file, '/');
	struct sha256 hash;
	char hex[65];

	sha256_init(&hash);
	sha256_add(&hash, audio->samples,
		audio->n_frames * (size_t)audio->channels * sizeof(*audio->samples));
	sha256_hex(&hash, hex);
	jsonw_text(out, "continue", slash ? slash + 1 : file);
	jsonw_text(out, "continue_sha256", hex);
}

void recipe_json(const struct recipe *r, struct str *out)
{
	const struct render_options *o = r->options;
	int64_t samples = r->n_frames * r->info->frame_samples;

	jsonw_begin(out);
	jsonw_text(out, "program", "woodshed");
	jsonw_text(out, "version", woodshed_version);
	jsonw_text(out, "engine", r->info->engine);
	jsonw_text(out, "model", r->model);
	jsonw_text(out, "model_hash", r->info->model_hash);
	jsonw_text(out, "prompt", o->prompt);
	jsonw_u64(out, "seed", r->seed);
	jsonw_num(out, "seconds", (double)samples / r->info->rate);
	jsonw_u64(out, "frames", (uint64_t)r->n_frames);
	jsonw_u64(out, "rate", (uint64_t)r->info->rate);
	jsonw_u64(out, "channels", (uint64_t)r->info->channels);
	jsonw_num(out, "cfg", r->guidance);
	jsonw_bool(out, "greedy", o->greedy);
	if (!o->greedy) {
		jsonw_num(out, "temperature", o->temperature);
		jsonw_u64(out, "top_k", o->top_k);
		jsonw_num(out, "top_p", o->top_p);
	}
	if (r->continued->samples)
		add_continued(out, o->continued, r->continued);
	jsonw_text(out, "precision", r->info->precision);
	jsonw_text(out, "device", r->info->device);
	jsonw_end(out);
}

void recipe_comment(const struct recipe *r, struct str *out)
{
	const char *prompt = r->options->prompt;
	size_t n = strlen(prompt);

	if (n > PROMPT_IN_COMMENT) {
		n = PROMPT_IN_COMMENT;
		while (((unsigned char)prompt[n] & 0xc0) == 0x80) /* whole characters */
			n--;
	}
	str_printf(out, "woodshed %s, %.100s, seed %llu: %.*s", woodshed_version, r->model,
		(unsigned long long)r->seed, (int)n, prompt);
	str_sanitize(out->s);
}
