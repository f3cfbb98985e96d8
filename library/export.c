/* Export: from a take to a file for others. */
#include "library/export.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/splitmix.h"
#include "library/base/str.h"
#include "library/licence.h"
#include "library/loudness.h"
#include "library/names.h"
#include "library/recipe.h"

/* Bits that get dither.  24 do not: what a float leaves of a sample there is
 * noise already. */
enum { DITHER_BITS = 16 };

static const int64_t LAST_SECOND = 253402300799; /* of the year 9999 */

struct export_work {
	const struct export_desc *d;
	struct arena *arena;
	struct export_result *result;
	struct audio audio;
	bool has_recipe;
	struct recipe recipe;
	const char *recipe_text; /* as it goes into the file; NULL: none */
	struct str changes;      /* what was done to the samples, for the recipe */
};

/* ---- steps -------------------------------------------------------------- */

static bool is_loud(const float *frame, int channels, float threshold)
{
	for (int c = 0; c < channels; c++)
		if (fabsf(frame[c]) >= threshold)
			return true;
	return false;
}

int export_trim(struct audio *a, double threshold_db, struct err *e)
{
	float threshold = (float)loudness_gain(threshold_db);
	size_t channels = (size_t)a->channels, first = 0, end = a->n_frames;

	while (first < end && !is_loud(a->samples + first * channels, a->channels, threshold))
		first++;
	if (first == end)
		return err_set(e, ERR_FORMAT,
			"nothing in it reaches %g dB, so all of it would be trimmed; trim at a "
			"lower "
			"level",
			threshold_db);
	while (!is_loud(a->samples + (end - 1) * channels, a->channels, threshold))
		end--;
	memmove(a->samples, a->samples + first * channels,
		(end - first) * channels * sizeof *a->samples);
	a->n_frames = end - first;
	return 0;
}

/* Half a cosine, from 0 to 1, at the middle of frame i of n. */
static double fade_gain(size_t i, size_t n)
{
	return 0.5 - 0.5 * cos(M_PI * ((double)i + 0.5) / (double)n);
}

static void scale_frame(struct audio *a, size_t frame, double gain)
{
	float *x = a->samples + frame * (size_t)a->channels;

	for (int c = 0; c < a->channels; c++)
		x[c] = (float)(x[c] * gain);
}

int export_fade(struct audio *a, double in_s, double out_s, struct err *e)
{
	double length_s = (double)a->n_frames / a->rate_hz;
	size_t n_in, n_out;

	if (in_s + out_s > length_s)
		return err_set(e, ERR_ARG,
			"fades of %g and %g seconds are longer than the audio, which has %.2f; "
			"shorten "
			"them",
			in_s, out_s, length_s);
	n_in = (size_t)(in_s * a->rate_hz);
	n_out = (size_t)(out_s * a->rate_hz);
	for (size_t i = 0; i < n_in; i++)
		scale_frame(a, i, fade_gain(i, n_in));
	for (size_t i = 0; i < n_out; i++)
		scale_frame(a, a->n_frames - 1 - i, fade_gain(i, n_out));
	return 0;
}

static size_t n_samples(const struct audio *a)
{
	return a->n_frames * (size_t)a->channels;
}

/* Such as audio that came from a file of as many bits and was not changed. */
static bool lies_on_steps(const struct audio *a, int bits)
{
	double top = (double)(INT64_C(1) << (bits - 1));

	for (size_t i = 0; i < n_samples(a); i++)
		if (a->samples[i] * top != rint(a->samples[i] * top))
			return false;
	return true;
}

/* The difference of two uniform draws: triangular in (-1, 1).  The noise of a sample
 * depends on its place alone. */
static double triangular(uint64_t count)
{
	uint64_t bits = splitmix64(count * SPLITMIX_STEP);

	return ((double)(bits >> 32) - (double)(bits & UINT32_MAX)) * 0x1p-32;
}

uint64_t export_round(struct audio *a, int bits, bool dither)
{
	double top = (double)(INT64_C(1) << (bits - 1));
	uint64_t clipped = 0;

	for (size_t i = 0; i < n_samples(a); i++) {
		double exact = a->samples[i] * top;
		double v = rint(exact + (dither ? triangular(i) : 0));

		clipped += exact > top - 1 || exact < -top;
		v = v > top - 1 ? top - 1 : v < -top ? -top : v;
		a->samples[i] = (float)(v / top);
	}
	return clipped;
}

/* ---- gain --------------------------------------------------------------- */

static int measure(const struct audio *a, struct loudness *ret, struct err *e)
{
	return loudness_measure(a->samples, a->n_frames, a->channels, a->rate_hz, ret, e);
}

static double choose_gain(
	const struct export_desc *d, const struct loudness *l, bool *ret_held_back)
{
	double gain_db = d->lufs - l->lufs, room_db = d->ceiling_dbtp - loudness_db(l->peak);

	*ret_held_back = gain_db > room_db;
	return *ret_held_back ? room_db : gain_db;
}

/* Measures, and brings the loudness to its target. */
static int adjust(struct export_work *x, struct err *e)
{
	struct export_result *r = x->result;
	struct loudness l;
	double gain;
	int rc = measure(&x->audio, &l, e);

	if (rc)
		return rc;
	r->lufs_before = r->lufs_after = l.lufs;
	r->peak_dbtp = loudness_db(l.peak);
	if (!(x->d->lufs < 0))
		return 0;
	if (!isfinite(l.lufs))
		return err_set(e, ERR_FORMAT,
			"it is too short or too quiet to have a loudness (0.4 seconds above -70 "
			"LUFS at least); export it without one");
	r->gain_db = choose_gain(x->d, &l, &r->held_back);
	gain = loudness_gain(r->gain_db);
	for (size_t i = 0; i < x->audio.n_frames; i++)
		scale_frame(&x->audio, i, gain);
	rc = measure(&x->audio, &l, e);
	if (rc)
		return rc;
	r->lufs_after = l.lufs;
	r->peak_dbtp = loudness_db(l.peak);
	return 0;
}

/* ---- recipe, licence, name ---------------------------------------------- */

static const char *samples_of(const struct export_desc *d)
{
	return d->samples ? d->samples : d->source;
}

/* A source without a recipe is as welcome; one that is damaged is left behind
 * with a warning. */
static void find_recipe(struct export_work *x)
{
	struct err e = {0};
	char *text;

	if (audio_read_recipe(samples_of(x->d), &text, NULL))
		return;
	x->has_recipe = !recipe_parse(text, x->arena, &x->recipe, &e);
	if (x->has_recipe)
		x->recipe_text = arena_strdup(x->arena, text);
	else
		x->result->warning = arena_strdup(x->arena, e.text);
	free(text);
}

static void find_licence(struct export_work *x)
{
	struct licence known;

	x->result->model = x->has_recipe ? x->recipe.model : NULL;
	if (x->d->licence) {
		x->result->licence = x->d->licence;
		x->result->no_commercial = x->d->no_commercial;
	} else if (licence_of(x->result->model, x->arena, &known)) {
		x->result->licence = known.text;
		x->result->no_commercial = known.no_commercial;
	}
}

__attribute__((format(printf, 2, 3))) static void note(struct export_work *x, const char *fmt, ...)
{
	va_list args;
	char text[64];

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	str_printf(&x->changes, "%s%s", x->changes.n ? ", " : "", text);
}

/* What there is is exported, and the recipe does not claim that it is all.  Of other
 * samples the source is asked how many they should be. */
static void find_shortfall(struct export_work *x)
{
	struct audio of = x->audio, source;
	char text[AUDIO_SHORTFALL_MAX];

	if (x->d->samples && !audio_probe(x->d->source, &source, NULL) &&
		source.rate_hz == of.rate_hz && source.n_frames + source.n_missing > of.n_frames)
		of.n_missing = source.n_frames + source.n_missing - of.n_frames;
	if (!of.n_missing)
		return;
	x->result->shortfall = arena_strdup(x->arena, audio_shortfall(&of, text));
	note(x, "%.4g s were missing", (double)of.n_missing / of.rate_hz);
}

/* Only a recipe whose samples were changed is written anew, so that fields of
 * later versions pass through wherever they can. */
static void update_recipe(struct export_work *x)
{
	struct str text = {0};

	if (!x->has_recipe || !x->changes.n)
		return;
	x->recipe.exported = x->recipe.exported ? arena_printf(x->arena, "%.400s; %s",
							  x->recipe.exported, str_get(&x->changes))
						: arena_strdup(x->arena, str_get(&x->changes));
	recipe_json(&x->recipe, &text);
	x->recipe_text = arena_strdup(x->arena, str_get(&text));
	str_done(&text);
}

/* The day on which the source was last changed, in UTC; NULL where it cannot be told. */
static const char *date_of(const char *path, struct arena *a)
{
	struct stat st;
	char iso[32];

	if (stat(path, &st) || st.st_mtime < 0 || st.st_mtime > LAST_SECOND)
		return NULL;
	return arena_strndup(a, clock_iso((int64_t)st.st_mtime * 1000, iso), 10);
}

static const char *stem_of(const char *path, struct arena *a)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *dot = strrchr(name, '.');

	return arena_strndup(a, name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

static bool is_flac(enum audio_format format)
{
	return format == AUDIO_FLAC16 || format == AUDIO_FLAC24;
}

static int choose_path(struct export_work *x, const char **ret, struct err *e)
{
	const struct export_desc *d = x->d;
	const struct names_fields fields = {
		.prompt = x->has_recipe ? x->recipe.prompt : NULL,
		.model = x->has_recipe ? x->recipe.model : NULL,
		.seed = x->has_recipe
				? arena_printf(x->arena, "%llu", (unsigned long long)x->recipe.seed)
				: NULL,
		.take = d->take ? d->take : stem_of(d->source, x->arena),
		.date = date_of(d->source, x->arena),
	};
	char name[NAMES_SIZE];
	int rc = names_make(d->pattern ? d->pattern : NAMES_DEFAULT, &fields,
		is_flac(d->format) ? ".flac" : ".wav", name, e);

	if (!rc)
		*ret = arena_printf(
			x->arena, "%s%s%s", d->dir, has_suffix(d->dir, "/") ? "" : "/", name);
	return rc;
}

/* ---- the file ----------------------------------------------------------- */

static int shape(struct export_work *x, struct err *e)
{
	const struct export_desc *d = x->d;
	size_t n_before = x->audio.n_frames;
	int rate_before = x->audio.rate_hz, rc = 0;

	if (d->trim_db < 0)
		rc = export_trim(&x->audio, d->trim_db, e);
	if (!rc && x->audio.n_frames != n_before)
		note(x, "trimmed at %g dB", d->trim_db);
	if (!rc && d->rate_hz)
		rc = audio_resample(&x->audio, d->rate_hz, e);
	if (!rc && x->audio.rate_hz != rate_before)
		note(x, "resampled to %d Hz", x->audio.rate_hz);
	if (!rc)
		rc = export_fade(&x->audio, d->fade_in_s, d->fade_out_s, e);
	if (!rc && (d->fade_in_s > 0 || d->fade_out_s > 0))
		note(x, "fades of %g and %g s", d->fade_in_s, d->fade_out_s);
	return rc;
}

static void quantise(struct export_work *x)
{
	int bits = audio_bits(x->d->format);
	bool dither = bits == DITHER_BITS && !lies_on_steps(&x->audio, bits);

	if (dither)
		note(x, "dithered");
	if (bits)
		x->result->clipped = export_round(&x->audio, bits, dither);
}

static int process(struct export_work *x, struct err *e)
{
	int rc = shape(x, e);

	if (!rc)
		rc = adjust(x, e);
	if (rc)
		return rc;
	if (x->result->gain_db != 0)
		note(x, "gain %+.2f dB", x->result->gain_db);
	quantise(x);
	x->result->n_frames = x->audio.n_frames;
	x->result->rate_hz = x->audio.rate_hz;
	x->result->channels = x->audio.channels;
	return 0;
}

static int write_file(struct export_work *x, const char *path, struct err *e)
{
	struct audio_writer *w;
	struct str comment = {0};
	int rc;

	if (x->has_recipe)
		recipe_comment(&x->recipe, &comment);
	rc = audio_writer_open(
		&(struct audio_writer_desc){
			.path = path,
			.channels = x->audio.channels,
			.rate_hz = x->audio.rate_hz,
			.format = x->d->format,
			.recipe = x->recipe_text,
			.comment = comment.n ? str_get(&comment) : NULL,
			.copyright = x->result->licence,
			.numbered = true,
		},
		&w, e);
	str_done(&comment);
	if (rc)
		return rc;
	rc = audio_writer_add(w, x->audio.samples, x->audio.n_frames, e);
	if (!rc)
		rc = audio_writer_commit(w, e);
	if (!rc)
		x->result->path = arena_strdup(x->arena, audio_writer_path(w, &x->result->n_bytes));
	audio_writer_close(w);
	return rc;
}

static bool is_within(double x, double lo, double hi)
{
	return x >= lo && x <= hi; /* and so no NAN */
}

int export_check(const struct export_desc *d, struct err *e)
{
	if (!is_within(d->trim_db, EXPORT_DB_MIN, 0) || !is_within(d->lufs, EXPORT_LUFS_MIN, 0) ||
		!is_within(d->ceiling_dbtp, EXPORT_DB_MIN, 0))
		return err_set(e, ERR_ARG,
			"levels of an export lie between %d and 0 dB, loudness between %d and 0 "
			"LUFS",
			EXPORT_DB_MIN, EXPORT_LUFS_MIN);
	if (!is_within(d->fade_in_s, 0, EXPORT_FADE_MAX) ||
		!is_within(d->fade_out_s, 0, EXPORT_FADE_MAX))
		return err_set(
			e, ERR_ARG, "fades take 0 to %d seconds; shorten them", EXPORT_FADE_MAX);
	if (d->rate_hz && !is_within(d->rate_hz, AUDIO_RATE_MIN, AUDIO_RATE_MAX))
		return err_set(e, ERR_ARG, "cannot resample to %d Hz; %d to %d work", d->rate_hz,
			AUDIO_RATE_MIN, AUDIO_RATE_MAX);
	return names_check(d->pattern ? d->pattern : NAMES_DEFAULT, e);
}

int export_file(
	const struct export_desc *d, struct arena *a, struct export_result *ret, struct err *e)
{
	struct export_work x = {.d = d, .arena = a, .result = ret};
	const char *path;
	int rc;

	*ret = (struct export_result){0};
	rc = export_check(d, e);
	if (!rc)
		rc = audio_read(&(struct audio_read_desc){.path = samples_of(d)}, &x.audio, e);
	if (rc)
		return rc;
	find_shortfall(&x);
	find_recipe(&x);
	find_licence(&x);
	rc = process(&x, e);
	if (rc)
		rc = err_wrap(e, rc, "'%s'", d->source);
	if (!rc) {
		update_recipe(&x);
		rc = choose_path(&x, &path, e);
	}
	if (!rc)
		rc = write_file(&x, path, e);
	audio_done(&x.audio);
	str_done(&x.changes);
	return rc;
}
