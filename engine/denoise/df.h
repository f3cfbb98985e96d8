/* DeepFilterNet 3 (engine/denoise/df_net.c) as a stream: 48 kHz, hops of 480
 * frames, any number of channels, constant memory.
 *
 *	df_open
 *	df_measure ...			the whole signal, once: optional
 *	df_process ...			all whole hops of it
 *	df_end, df_process		the rest of it and zeros: what is still inside
 *	df_close
 *
 * What comes out is DF_LATENCY frames late, to the sample: the caller drops so
 * many at the beginning and keeps as many as went in.  However a signal is cut
 * into calls, and whatever the number of threads, the output is the same bit
 * for bit.
 *
 * Channels are linked.  The network hears one signal, the mean of the channels,
 * and the gains and filters that it finds act on every channel alike: they are
 * linear and depend on time and frequency only, so the image stays where it is,
 * and the cost is that of one channel.  Of stereo in opposite phase the mean
 * would be silence: df_measure() finds that, and the difference is heard instead.
 *
 * The network works for levels from -39 to -14 dBFS and takes anything below
 * -44 for silence.  After df_measure() it hears the signal at -24 dBFS.  Only
 * what it hears is scaled, never what it filters: there is nothing to undo
 * afterwards.
 *
 * It was trained to keep voices.  Music that is no voice it removes; without a
 * limit little is left.  df_median_snr() tells when that has happened. */
#ifndef WOODSHED_ENGINE_DENOISE_DF_H
#define WOODSHED_ENGINE_DENOISE_DF_H

#include <stdint.h>

struct df;
struct err;

enum {
	DF_RATE = 48000,
	DF_HOP = 480,
	DF_LATENCY = 3 * DF_HOP, /* one of the overlap, two of lookahead */
	DF_BLOCK = 32,           /* hops that are made at once; fewer a call take longer */
	DF_MAX_CHANNELS = 256,
};

/* dir: the folder of the weights, paths_shared(..., "deepfilternet3").  n_threads
 * as in gpu_open().  ERR_ARG for channels, ERR_IO or ERR_FORMAT for the weights,
 * ERR_NOMEM.  A struct is one stream, used by one thread at a time. */
int df_open(const char *dir, int n_channels, int n_threads, struct df **ret, struct err *e);
void df_close(struct df *d); /* NULL-safe */

/* Ready for another signal: forgets the last one and what was measured of it. */
void df_reset(struct df *d);

/* The most that is taken away, in dB: the output is
 *	(1 - g) filtered + g input,	g = 10^(-limit_db / 20).
 * 0 gives back the input (within float rounding), 100 and more is no limit, which
 * is how a stream begins.  Holds from the next df_process() on. */
void df_set_limit(struct df *d, float limit_db);

/* Tells the signal's level before it is processed: n_frames of n_channels,
 * interleaved, in any number of calls.  The level is the RMS, over the hops above
 * -90 dBFS, of the mean of the channels, or of half the difference of two when
 * that has three times the power; this is then also what the network hears.
 * Without a measurement it hears the mean as loud as it is. */
void df_measure(struct df *d, const float *in, int64_t n_frames);

/* n_hops hops of n_channels, interleaved: DF_HOP * n_hops frames in, as many out;
 * in and out may be the same.  Samples that are no numbers, or beyond 1e6, count
 * as 0. */
int df_process(struct df *d, const float *in, float *out, int64_t n_hops, struct err *e);

/* The signal ends n_frames after what was processed so far; what the caller
 * processes behind that are zeros, to fill the last hop and to get the last
 * DF_LATENCY frames.  One frame behind the signal the network's input ends, and
 * goes on as zeros, as in the original's offline order.  Without this it hears
 * silence there, and the last two hops differ a little. */
void df_end(struct df *d, int64_t n_frames);

/* Half of the hops so far were heard at a lower signal-to-noise ratio, by the
 * network's own estimate from -15 to 35 dB, to 1 dB.  Below -10 it heard no
 * voice.  -15 before the first hop. */
float df_median_snr(const struct df *d);

#endif
