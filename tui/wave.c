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

struct making {
	struct task task;
	char *path;
	struct wave wave;
};

void wave_columns(const float *samples, size_t n, uint8_t out[WAVE_COLUMNS])
{
	for (size_t i = 0; i < WAVE_COLUMNS; i++) {
		const size_t from = n * i / WAVE_COLUMNS;
		size_t to = n * (i + 1) / WAVE_COLUMNS;
		float most = 0;

		to = to > from ? to : from + 1;
		for (size_t k = from; k < to && k < n; k++)
			most = fmaxf(most, fabsf(samples[k]));
		out[i] = (uint8_t)lrintf(255 * fminf(most, 1));
	}
}

static int make(struct db *db, struct task *t, struct err *e)
{
	struct making *m = (struct making *)t;
	const struct audio_read_desc d = {.path = m->path, .channels = 1, .max_s = 3600};
	struct audio audio;
	int rc = audio_read(&d, &audio, e);

	if (rc)
		return rc;
	wave_columns(audio.samples, audio.n_frames, m->wave.at);
	audio_done(&audio);
	return 0;
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
