/* The inner loops of products of bf16 by bf16 (GPU_TILES), once per instruction set.
 *
 * Matrices are packed in panels of 32 outputs; a block of 32 of k is two tiles of 16
 * outputs side by side, each [16 pairs of k][16 outputs][2]: what AMX takes.  k is
 * padded with zeros to whole blocks.
 *
 * The sum of a block is that of its 16 even products and that of its 16 odd ones, two
 * chains, added; it is then added to the sum so far.  Subnormals are zero.  Products
 * of two bf16 are exact in f32, so all instruction sets give the same bits.  A block of
 * GPU_SPLIT (gpu.h) is six such sums, one after the other. */
#ifndef WOODSHED_GPU_CPU_TILE_KERNELS_H
#define WOODSHED_GPU_CPU_TILE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum {
	TILE_ROWS = 16,
	TILE_OUTS = 16,
	TILE_K = 32,
	TILE_ELEMENTS = TILE_ROWS * TILE_K, /* of either factor's tile */
	TILE_STEP = 2 * TILE_ROWS,          /* rows that come together */
};

/* Blocks of k in a row; elements of a panel. */
static inline int64_t tile_blocks(int64_t k)
{
	return (k + TILE_K - 1) / TILE_K;
}

static inline int64_t tile_panel(int64_t k)
{
	return tile_blocks(k) * 2 * TILE_ELEMENTS;
}

/* Place of output o of a panel (o < 32) and k in it. */
static inline int64_t tile_place(int64_t o, int64_t k)
{
	return k / TILE_K * 2 * TILE_ELEMENTS + o / TILE_OUTS * TILE_ELEMENTS +
	       k % TILE_K / 2 * 2 * TILE_OUTS + o % TILE_OUTS * 2 + k % 2;
}

/* sum[r][0..31] = (resume ? sum[r] : 0) + rows of a times a panel, for TILE_STEP rows. */
struct tile_gemm {
	const uint16_t *a;     /* bf16 */
	ptrdiff_t a_row;       /* elements from row to row of 16 .. */
	ptrdiff_t a_group;     /* .. and from 16 rows to the next 16 */
	const int64_t *offset; /* [n_blocks]: of a block of k in a row; NULL: in their order */
	/* GPU_SPLIT: elements from a part of a row to the next, the panel's parts of a block
	 * follow each other; 0: one part */
	ptrdiff_t a_part;
	int64_t n_blocks;
	const uint16_t *w;       /* the panel from the first of the blocks on */
	const int64_t *w_offset; /* [n_blocks]: of a block of k in it; NULL: in their order */
	float *sum;              /* rows of 32, */
	ptrdiff_t sum_row;       /* so many floats apart */
	int resume;
	/* To bring into the second-level cache meanwhile: with each of the first ahead_blocks
	 * blocks so many lines of 64 bytes, from there on one behind the other, or from where
	 * ahead_offset, as w_offset, has the block. */
	const char *ahead;
	const int64_t *ahead_offset;
	int64_t ahead_blocks;
	int ahead_lines;
	/* 32 rows of 32 floats that will be written next, so many floats apart; or NULL */
	const float *out;
	ptrdiff_t out_row;
};

/* Up to 32 positions of a head, f32, for attention (tile_attention.c); to 32 positions and whole
 * blocks of channels it has zeros. */
struct tile_head {
	const float *x;
	ptrdiff_t ldx; /* elements from a position to the next */
	int64_t n, dim;
	ptrdiff_t ahead; /* from here to what is wanted next: to be brought near */
	int parts;       /* 1: as round() has them; 3: as split() has them */
};

struct tile_kernels {
	/* Around any number of gemm() on one thread. */
	void (*begin)(void);
	void (*end)(void);
	void (*gemm)(const struct tile_gemm *a);
	/* The same with n panels, one behind the other, whose sums are side by side; neither
	 * offsets nor resume, nothing ahead. */
	void (*gemm_panels)(const struct tile_gemm *a, int64_t n);
	/* To bf16, nearest even; NaN stays NaN, what is below the normal range is zero. */
	void (*round)(uint16_t *y, const float *x, int64_t n);
	/* The same, and the rest of it, and the rest of that: `part` elements apart. */
	void (*split)(uint16_t *y, ptrdiff_t part, const float *x, int64_t n);
	/* n frames of `channels` values, whole blocks of 32, behind a leaky relu (slope 1: as
	 * they are), as round and, with 3 parts, split have them: block by block, `block`
	 * elements apart, their parts `part` apart, in each the frames one behind the other. */
	void (*place)(uint16_t *y, ptrdiff_t block, ptrdiff_t part, int parts, const float *x,
		int64_t n, int64_t channels, float slope);
	/* Of Winograd's F(2 x 2, 3 x 3) (winograd.c): the four values of a row of a patch, from the
	 * two lines that it takes, which are added in row 1 and else subtracted; four places of
	 * `channels` values, whole blocks of 32, follow each other.  Value j is `product` elements
	 * behind the one before, in each a block is 3 TILE_ELEMENTS from the next and a part
	 * TILE_ELEMENTS: the upper 8 bits, those of the rest, and the rest.  Of 32, k and k + 16
	 * are neighbours: 0, 16, 1, 17, .. */
	void (*patch)(uint16_t *y, ptrdiff_t product, const float *a, const float *b, int adds,
		int64_t channels);
	/* The way back, of 32 outputs of n tiles side by side: from the four products of row i,
	 * TILE_STEP * 32 floats apart, what they add to the `columns` places, 2 n or one less,
	 * of the line above and of the one below, whose places are ldy apart.  Row 0 sets the line
	 * above to the bias first, row 1 the one below; row 0 has none below, row 3 none above, and
	 * there may be no line below. */
	void (*unpatch)(float *above, float *below, ptrdiff_t ldy, const float *sum,
		const float *bias, int i, int64_t columns);
	/* y[r][0..n) = sum[r] + bias (+ y[r] when add) for `rows` rows, those of sum 32, those of
	 * y ldy apart; n <= 32 */
	void (*finish)(float *y, ptrdiff_t ldy, const float *sum, const float *bias, int64_t rows,
		int64_t n, int add);
	/* As rows, [16 positions][block][part][position][32]. */
	void (*pack_queries)(uint16_t *q, const struct tile_head *x);
	/* As outputs of a panel, [block][part][tiles]. */
	void (*pack_keys)(uint16_t *k, const struct tile_head *x);
	/* As a block of k of panels of channels, `panel` elements apart, [part][tiles]; pairs are
	 * 16 positions apart, as exp_rows (vec_kernels.h) has them. */
	void (*pack_values)(uint16_t *v, ptrdiff_t panel, const struct tile_head *x);
};

/* round() or, with 3 parts, split(). */
static inline void tile_put(const struct tile_kernels *tiles, int parts, uint16_t *y,
	ptrdiff_t part, const float *x, int64_t n)
{
	if (parts == 1)
		tiles->round(y, x, n);
	else
		tiles->split(y, part, x, n);
}

extern const struct tile_kernels tile_kernels_generic, tile_kernels_avx2, tile_kernels_avx512,
	tile_kernels_amx;

#endif
