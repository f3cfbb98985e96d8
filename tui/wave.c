/* Small waveforms of takes. */
#include "tui/wave.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/str.h"
#include "library/takes.h"
#include "tui/background.h"
#include "tui/ws.h"

enum { PIECE = 4096 }; /* frames */

struct making {
	struct task task;
	char *path;
	struct wave wave;
};

/* The greatest magnitude of each column, of all channels' mean; a piece at a time, for a
 * file may be long. */
static int read_columns(struct audio_reader *r, uint8_t *out, struct err *e)
{
	const struct audio *info = audio_reader_info(r);
	const int channels = info->channels;
	float *samples = xcalloc((size_t)channels * PIECE, sizeof(*samples));
	float most[WAVE_COLUMNS] = {0};
	size_t at = 0, column = 0, got = 1;
	int rc = 0;

	while (!rc && got && at < info->n_frames) {
		rc = audio_reader_read(r, samples, PIECE, &got, e);
		for (size_t i = 0; i < got && !rc && at < info->n_frames; i++, at++) {
			float sum = 0;

			while (at >= info->n_frames * (column + 1) / WAVE_COLUMNS)
				column++;
			for (int c = 0; c < channels; c++)
				sum += samples[i * (size_t)channels + (size_t)c];
			if (fabsf(sum) > most[column])
				most[column] = fabsf(sum);
		}
	}
	for (int i = 0; i < WAVE_COLUMNS; i++)
		out[i] = (uint8_t)lrintf(255 * fminf(most[i] / (float)channels, 1));
	free(samples);
	return rc;
}

static int make(struct db *db, struct task *t, struct err *e)
{
	struct making *m = (struct making *)t;
	struct audio_reader *r;
	int rc = audio_reader_open(m->path, &r, e);

	if (!rc) {
		rc = read_columns(r, m->wave.at, e);
		audio_reader_shortfall(r, m->wave.shortfall);
		audio_reader_close(r);
	}
	return rc;
}

/* One that cannot be made is kept as silence: it is not asked for again. */
static void end_make(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct making *m = (struct making *)t;
	struct waves *all = &ws->waves;
	struct wave *place = &all->kept[0];

	for (int i = 1; i < WAVES_KEPT; i++)
		if (all->kept[i].used < place->used)
			place = &all->kept[i];
	if (rc != ERR_CANCELLED) {
		m->wave.used = ++all->n_calls;
		*place = m->wave;
		ws->dirty |= DIRTY_BODY;
	}
	if (all->asked == m->wave.take)
		all->asked = 0;
	free(m->path);
	free(m);
}

const struct wave *wave_of(struct ws *ws, const struct take *t)
{
	struct waves *all = &ws->waves;
	struct making *m;
	struct str path = {0};

	for (int i = 0; i < WAVES_KEPT; i++)
		if (all->kept[i].take == t->id) {
			all->kept[i].used = ++all->n_calls;
			return &all->kept[i];
		}
	if (all->asked == t->id)
		return NULL;
	str_printf(&path, "%s/%s", ws->library, t->file);
	m = xcalloc(1, sizeof(*m));
	m->path = path.s;
	m->wave.take = all->asked = t->id;
	m->task.run = make;
	m->task.end = end_make;
	background_do_instead(ws->looks, &m->task);
	return NULL;
}

void wave_text(const struct wave *w, int width, struct str *out)
{
	for (int i = 0; i < width; i++) {
		const int from = WAVE_COLUMNS * i / width, to = WAVE_COLUMNS * (i + 1) / width;
		int most = w->at[from], level;
		char utf8[4];

		for (int k = from + 1; k < to; k++)
			most = w->at[k] > most ? w->at[k] : most;
		level = (int)ceil(8 * sqrt(most / 255.0));
		if (level)
			str_add_n(out, utf8, utf8_encode(0x2580 + (uint32_t)level, utf8));
		else
			str_add_char(out, ' ');
	}
}
