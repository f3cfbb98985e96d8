/* Takes to files for others, and to the clipboard. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/export.h"
#include "library/globals.h"
#include "library/names.h"
#include "tui/background.h"
#include "tui/clipboard.h"
#include "tui/denoise_process.h"
#include "tui/terminal.h"
#include "tui/ws.h"

/* ---- how ---------------------------------------------------------------- */

/* What the line of W says: "to FOLDER, as FORMAT, at LUFS, named PATTERN".  Kept as
 * settings of the library. */
struct export_way {
	const char *folder, *format, *lufs, *pattern; /* in an arena */
};

static const struct {
	const char *word;
	enum audio_format format;
} formats[] = {
	{"float", AUDIO_FLOAT},
	{"pcm24", AUDIO_PCM24},
	{"pcm16", AUDIO_PCM16},
	{"flac", AUDIO_FLAC16},
	{"flac24", AUDIO_FLAC24},
};

static const struct {
	const char *before, *setting;
	size_t at;
} parts[] = {
	{"to ", "export.folder", offsetof(struct export_way, folder)},
	{"as ", "export.format", offsetof(struct export_way, format)},
	{"at ", "export.lufs", offsetof(struct export_way, lufs)},
	{"named ", "export.name", offsetof(struct export_way, pattern)},
};

enum { N_PARTS = sizeof(parts) / sizeof(*parts) };

static const char **part_of(struct export_way *way, size_t i)
{
	return (const char **)((char *)way + parts[i].at);
}

/* Of the user's music, or of ~, without which there is none. */
static const char *usual_folder(const struct environment *env, struct arena *a)
{
	if (env->xdg_music_dir && *env->xdg_music_dir == '/')
		return arena_printf(a, "%s/woodshed", env->xdg_music_dir);
	return env->paths.home && *env->paths.home
		       ? arena_printf(a, "%s/Music/woodshed", env->paths.home)
		       : "~/Music/woodshed";
}

static int read_way(struct ws *ws, struct arena *a, struct export_way *ret, struct err *e)
{
	int rc = 0;

	*ret = (struct export_way){0};
	for (size_t i = 0; i < N_PARTS && !rc; i++)
		rc = db_setting(ws->db, parts[i].setting, a, part_of(ret, i), e);
	if (!ret->folder)
		ret->folder = usual_folder(ws->env, a);
	if (!ret->format)
		ret->format = "float";
	if (!ret->lufs)
		ret->lufs = "off";
	if (!ret->pattern)
		ret->pattern = NAMES_DEFAULT;
	return rc;
}

static size_t find_part(const char *s)
{
	size_t i = 0;

	while (i < N_PARTS && !has_prefix(s, parts[i].before))
		i++;
	return i;
}

/* The next ", " behind which a part could begin, or NULL. */
static char *next_comma(const char *s)
{
	char *at = strstr(s, ", ");

	while (at && find_part(at + 2) == N_PARTS)
		at = strstr(at + 1, ", ");
	return at;
}

/* The ", " at which a part ends, or NULL.  A folder's name may hold one: only a folder,
 * or the pattern at the end, has a '/'. */
static char *end_of_part(const char *s)
{
	char *at = next_comma(s), *next;

	for (; at; at = next) {
		const char *slash = strchr(at, '/');

		next = next_comma(at + 1);
		if (!slash || (next && slash > next) || (!next && has_prefix(at, ", named ")))
			break;
	}
	return at;
}

/* With a '/' at its end where else it would not be read back as it is. */
static const char *folder_word(const char *dir, struct arena *a)
{
	return next_comma(dir) ? arena_printf(a, "%s/", dir) : dir;
}

/* Changes what the words name; a part that is not named stays. */
static int parse_way(const char *words, struct arena *a, struct export_way *way, struct err *e)
{
	char *rest = arena_strdup(a, words);

	while (rest && *rest) {
		char *end = has_prefix(rest, "named ") ? NULL : end_of_part(rest);
		const size_t i = find_part(rest);

		if (end)
			*end = 0;
		if (i == N_PARTS)
			return err_set(e, ERR_ARG,
				"'%.40s' is no part of an export: it is said as to FOLDER, as "
				"FORMAT, at LUFS, named PATTERN",
				rest);
		rest += strlen(parts[i].before);
		for (size_t n = strlen(rest); !i && n > 1 && rest[n - 1] == '/'; n--)
			rest[n - 1] = 0;
		*part_of(way, i) = rest;
		rest = end ? end + 2 : NULL;
	}
	return 0;
}

static int describe(const struct export_way *way, const struct environment *env, struct arena *a,
	struct export_desc *ret, struct err *e)
{
	const size_t n = sizeof(formats) / sizeof(*formats);
	size_t i = 0;

	*ret = (struct export_desc){
		.dir = way->folder, .pattern = way->pattern, .ceiling_dbtp = -1};
	if (has_prefix(way->folder, "~/") && env->paths.home && *env->paths.home)
		ret->dir = arena_printf(a, "%s%s", env->paths.home, way->folder + 1);
	if (has_prefix(ret->dir, "~/"))
		return err_set(e, ERR_ARG,
			"there is no home for '%.80s'; set HOME, or name another folder with W",
			way->folder);
	if (*ret->dir != '/') /* it is kept, and where woodshed runs is not */
		return err_set(e, ERR_ARG,
			"'%.80s' is no folder that can be kept: it begins with / or ~/",
			way->folder);
	while (i < n && strcmp(formats[i].word, way->format))
		i++;
	if (i == n)
		return err_set(e, ERR_ARG,
			"'%.40s' is no format; there are float, pcm24, pcm16, flac and flac24",
			way->format);
	ret->format = formats[i].format;
	if (strcmp(way->lufs, "off") && !parse_f64(way->lufs, &ret->lufs))
		return err_set(
			e, ERR_ARG, "'%.40s' is no loudness, such as -14, or off", way->lufs);
	return export_check(ret, e);
}

/* ---- the thread --------------------------------------------------------- */

/* One take a task, so that what is said can tell how far it is. */
struct exporting {
	struct task task;
	struct arena arena; /* of all below */
	struct export_way way;
	unsigned number; /* of the way, to be kept when it is known to work; 0: not */
	struct export_desc desc;
	int64_t take;
	struct denoise_process denoiser; /* method NULL: as it is */
	struct export_result result;
};

/* The folder, and those above it. */
static int make_folder(const char *path, struct arena *a, struct err *e)
{
	char *copy = arena_strdup(a, path);

	for (char *s = copy + 1; *s; s++)
		if (*s == '/') {
			*s = 0;
			mkdir(copy, 0777);
			*s = '/';
		}
	if (mkdir(copy, 0777) && errno != EEXIST)
		return err_set(e, ERR_IO, "cannot make the folder '%s': %s; W chooses another",
			path, strerror(errno));
	return 0;
}

static int export(struct db *db, struct task *task, struct err *e)
{
	struct exporting *x = (struct exporting *)task;
	struct take t;
	int rc = takes_get(db, x->take, &x->arena, &t, e);

	if (!rc)
		rc = make_folder(x->desc.dir, &x->arena, e);
	if (rc)
		return rc;
	x->desc.source = arena_printf(&x->arena, "%s/%s", db_library(db), t.file);
	if (x->denoiser.method) /* beside the plain one it says which it is */
		x->desc.pattern = arena_printf(&x->arena, "%s denoised", x->desc.pattern);
	x->desc.take = arena_printf(&x->arena, "%lld", (long long)t.id);
	if (x->denoiser.method)
		rc = denoise_process_run(
			&x->denoiser, x->desc.source, x->desc.dir, &x->desc.samples, e);
	if (!rc)
		rc = export_file(&x->desc, &x->arena, &x->result, e);
	denoise_process_remove();
	return rc;
}

/* "~/Music", as people write it. */
static const char *folder_text(const struct ws *ws, const char *dir, struct arena *a)
{
	const char *home = ws->env->paths.home;
	const size_t n = home ? strlen(home) : 0;
	const bool is_below = n && !strncmp(dir, home, n) && dir[n] == '/';

	return is_below ? arena_printf(a, "~%s", dir + n) : dir;
}

static void tell(struct ws *ws, struct exporting *x)
{
	const struct exports *all = &ws->exports;
	const char *bad = all->n_failed ? all->why : NULL;
	char size[16], denoised[48] = "";

	if (all->n_denoised)
		snprintf(denoised, sizeof(denoised), ", %zu denoised as heard,", all->n_denoised);
	if (all->n_done + all->n_failed < all->n)
		ws_say(ws, "exporting %zu of %zu ...", all->n_done + all->n_failed + 1, all->n);
	else if (bad)
		ws_complain(ws, "exported %zu of %zu: %s", all->n_done, all->n, bad);
	else if (all->n_short && all->n == 1)
		ws_complain(ws, "exported what there is, to %s: %s",
			folder_text(ws, x->desc.dir, &x->arena), all->why);
	else if (all->n_short)
		ws_complain(ws,
			"exported what there is of %zu takes; of %zu the end is missing: %s",
			all->n, all->n_short, all->why);
	else if (all->clipped)
		ws_complain(ws,
			"exported %zu take%s, %llu samples of which were too loud for %s and are "
			"clipped; W and \"as float\" or \"at -14\" keeps them",
			all->n, all->n == 1 ? "" : "s", (unsigned long long)all->clipped,
			x->way.format);
	else if (all->n == 1)
		ws_say(ws, "exported%s to %s, %s%s: %s", x->denoiser.method ? " denoised" : "",
			folder_text(ws, x->desc.dir, &x->arena), format_bytes(all->bytes, size),
			all->no_commercial ? ", not for commercial use" : "",
			strrchr(x->result.path, '/') + 1);
	else
		ws_say(ws, "exported %zu takes%s to %s, %s%s", all->n, denoised,
			folder_text(ws, x->desc.dir, &x->arena), format_bytes(all->bytes, size),
			all->no_commercial ? "; some not for commercial use" : "");
}

static void end_export(struct ws *ws, struct task *task, int rc, struct err *e)
{
	struct exporting *x = (struct exporting *)task;
	struct exports *all = &ws->exports;

	if (!rc) {
		all->n_done++;
		all->bytes += x->result.n_bytes;
		all->no_commercial |= x->result.no_commercial;
		all->n_denoised += x->denoiser.method != NULL;
		all->clipped += x->result.clipped;
		if (x->result.shortfall && !all->n_short++ && !all->n_failed)
			snprintf(all->why, sizeof(all->why), "%s", x->result.shortfall);
		if (x->number > all->n_kept) {
			all->n_kept = x->number;
			for (size_t i = 0; i < N_PARTS; i++)
				ws_set(ws, parts[i].setting, *part_of(&x->way, i));
		}
	} else if (!all->n_failed++) {
		snprintf(all->why, sizeof(all->why), "%.255s", e->text);
	}
	tell(ws, x);
	if (all->n_done + all->n_failed == all->n)
		*all = (struct exports){0};
	arena_done(&x->arena);
	free(x);
}

/* ---- commands ----------------------------------------------------------- */

/* A take that is heard denoised is exported so. */
static void denoise_as_heard(struct ws *ws, struct exporting *x)
{
	struct sound_denoised heard;

	if (sound_is_denoised(ws, x->take, &heard))
		x->denoiser = (struct denoise_process){.program = ws->worker.program,
			.method = arena_strdup(&x->arena, heard.method),
			.mix = heard.mix,
			.quiet = true};
}

/* number: exporting.number */
static void begin(
	struct ws *ws, const struct export_way *way, unsigned number, const int64_t *ids, size_t n)
{
	struct err e = {0};

	for (size_t i = 0; i < n; i++) {
		struct exporting *x = xcalloc(1, sizeof(*x));

		x->way = *way;
		for (size_t k = 0; k < N_PARTS; k++)
			*part_of(&x->way, k) = arena_strdup(&x->arena, *part_of(&x->way, k));
		x->number = number;
		x->take = ids[i];
		x->task.run = export;
		x->task.end = end_export;
		denoise_as_heard(ws, x);
		if (describe(&x->way, ws->env, &x->arena, &x->desc, &e)) {
			ws_fail(ws, &e);
			arena_done(&x->arena);
			free(x);
			return;
		}
		ws->exports.n++;
		background_do(ws->chores, &x->task);
	}
	ws_say(ws, "exporting %zu take%s ...", n, n == 1 ? "" : "s");
}

/* With words: in another way, which is kept once a take was written so. */
static void do_export(struct ws *ws, const char *args)
{
	struct arena a = {0};
	struct export_way way;
	struct export_desc desc;
	struct err e = {0};
	const int64_t *ids;
	const size_t n = ws_targets(ws, &a, &ids, "there is no take here");
	int rc = read_way(ws, &a, &way, &e);

	if (!rc)
		rc = parse_way(args, &a, &way, &e);
	if (!rc)
		rc = describe(&way, ws->env, &a, &desc, &e);
	if (rc) {
		ws_fail(ws, &e);
	} else if (n) {
		begin(ws, &way, *args ? ++ws->exports.n_ways : 0, ids, n);
	}
	arena_done(&a);
}

/* The cursor stands behind the folder, so that the line is read from its beginning. */
static void do_export_options(struct ws *ws, const char *args)
{
	struct arena a = {0};
	struct export_way way;
	struct err e = {0};

	if (read_way(ws, &a, &way, &e)) {
		ws_fail(ws, &e);
	} else {
		const char *to = arena_printf(
			&a, "export to %s", folder_word(folder_text(ws, way.folder, &a), &a));

		ws_input(ws, INPUT_COMMAND,
			arena_printf(&a, "%s, as %s, at %s, named %s", to, way.format, way.lufs,
				way.pattern));
		ws->line.at = strlen(to);
		ws_say(ws, "Enter exports \u00b7 as float pcm24 pcm16 flac flac24 \u00b7 at off "
			   "or -14 (LUFS) \u00b7 {date}");
	}
	arena_done(&a);
}

/* ---- the clipboard ------------------------------------------------------ */

static void copy(struct ws *ws, bool paths)
{
	struct arena a = {0};
	struct str text = {0}, bytes = {0};
	struct err e = {0};
	const int64_t *ids;
	const size_t n = ws_targets(ws, &a, &ids, "there is no take here");
	int64_t last = 0;
	int rc = 0;

	for (size_t i = 0; i < n && !rc && text.n <= CLIPBOARD_BYTES_MAX; i++) {
		struct take t;

		rc = takes_get(ws->db, ids[i], &a, &t, &e);
		if (rc || (!paths && t.prompt_id == last))
			continue;
		last = t.prompt_id;
		str_add(&text, text.n ? "\n" : "");
		if (paths)
			str_printf(&text, "%s/%s", ws->library, t.file);
		else
			str_add(&text, t.prompt);
	}
	if (!rc)
		rc = clipboard_sequence(
			str_get(&text), ws->env->tmux && *ws->env->tmux, &bytes, &e);
	if (rc)
		ws_fail(ws, &e);
	else if (n && !terminal_send(bytes.s, bytes.n))
		ws_complain(ws, "this terminal has no clipboard");
	else if (n)
		ws_say(ws, "copied: %.200s", str_get(&text));
	str_done(&text);
	str_done(&bytes);
	arena_done(&a);
}

static void do_copy_prompt(struct ws *ws, const char *args)
{
	copy(ws, false);
}

static void do_copy_path(struct ws *ws, const char *args)
{
	copy(ws, true);
}

static const struct command commands[] = {
	{"export", "[to FOLDER, as FORMAT, at LUFS, named PATTERN]",
		"write the takes as files for others", do_export, false},
	{"export-options", "", "export after a look at where and how", do_export_options, false},
	{"copy-prompt", "", "the prompt to the clipboard", do_copy_prompt, false},
	{"copy-path", "", "the path of the file to the clipboard", do_copy_path, false},
};

enum { EXPORTING = 1 << SCREEN_LIBRARY | 1 << SCREEN_QUEUE | 1 << SCREEN_LISTEN };

static const struct binding bindings[] = {
	{EXPORTING, "w", "export"},
	{EXPORTING, "W", "export-options"},
	{EXPORTING | 1 << SCREEN_TRASH, "y", "copy-prompt"},
	{EXPORTING | 1 << SCREEN_TRASH, "Y", "copy-path"},
};

const struct command_table commands_export = COMMAND_TABLE(commands, bindings);
