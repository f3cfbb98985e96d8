/* wave.h: small waveforms of takes, made on a thread, the last ones kept. */
#ifndef WOODSHED_TUI_WAVE_H
#define WOODSHED_TUI_WAVE_H

#include <stddef.h>
#include <stdint.h>

#include "library/audio.h"
#include "tui/theme.h"

struct str;
struct take;
struct ws;

enum { WAVE_COLUMNS = 256, WAVES_KEPT = 64 };

struct wave {
	int64_t take;                        /* 0: none */
	uint64_t used;                       /* when, in calls */
	uint8_t at[WAVE_COLUMNS];            /* greatest magnitude, 255 is 1 */
	char shortfall[AUDIO_SHORTFALL_MAX]; /* audio_shortfall() of the file */
};

struct waves {
	struct wave kept[WAVES_KEPT];
	uint64_t n_calls;
	int64_t asked; /* the take whose file is being read; 0: none */
};

/* That of a take, or NULL while it is being made, or cannot be: the file is read when
 * it is asked for first, in place of one that was asked for before. */
const struct wave *wave_of(struct ws *ws, const struct take *t);

/* Adds `width` characters: blocks of eighths, by the root of the magnitude, so that
 * what is soft is seen. */
void wave_text(const struct wave *w, int width, struct str *out);

#endif
