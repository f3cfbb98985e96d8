/* The files that a render writes. */
#include "engine/cli/output.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/cli/print.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/globals.h"

enum { HEADER_BYTES = AUDIO_RECIPE_MAX + 4096 }; /* more than a file has besides its samples */

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

void output_warn_clipped(const char *path, uint64_t n)
{
	struct str text = {0};

	if (!n)
		return;
	str_printf(&text,
		"'%s': %llu samples were too loud for the format and are clipped; use --format "
		"float",
		path, (unsigned long long)n);
	print_warning(text.s);
	str_done(&text);
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

int output_check(const struct globals *g, const struct environment *env, const char *path,
	uint64_t n_bytes, struct err *e)
{
	/* The writer itself knows best: it is opened and thrown away. */
	const struct audio_writer_desc probe = {.path = path, .channels = 1, .rate_hz = 32000};
	struct audio_writer *w;
	int rc = globals_check_output(g, env, path, e);

	if (!rc)
		rc = audio_writer_open(&probe, &w, e);
	if (rc)
		return rc;
	audio_writer_close(w);
	return check_room(path, n_bytes + HEADER_BYTES, e);
}
