/* How far a network's pass is, for whoever shows it or wants it to stop. */
#ifndef WOODSHED_ENGINE_NETS_LAYERS_H
#define WOODSHED_ENGINE_NETS_LAYERS_H

#include <stddef.h>
#include <stdint.h>

/* Called behind some of the layers, with how many of them are done, on the thread that runs
 * them.  To stop the pass it calls gpu_fail(): what follows does nothing. */
struct layer_watch {
	void (*done)(void *ud, int64_t done, int64_t total);
	void *ud;
};

/* w: NULL where nobody watches. */
static inline void layer_done(const struct layer_watch *w, int64_t done, int64_t total)
{
	if (w)
		w->done(w->ud, done, total);
}

#endif
