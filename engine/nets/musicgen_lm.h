/* MusicGen's decoder: columns of codes in, logits of the next column out.
 *
 * Use: lm_configure(), config_check(), lm_bind(), bind_load(); then for each
 * generation lm_run_new(), lm_condition(), lm_forward() once for the columns
 * that are known and once for every further one.  lm_restart() begins anew
 * at position 0 with the same condition.
 *
 * Rows of a run are sequences in lockstep: those that see the text come
 * first, those that do not (the null condition, for which cross-attention
 * adds exactly nothing) follow. */
#ifndef WOODSHED_ENGINE_NETS_MUSICGEN_LM_H
#define WOODSHED_ENGINE_NETS_MUSICGEN_LM_H

#include "gpu/gpu.h"

struct arena;
struct bind;
struct config;

struct lm_config {
	int64_t hidden, n_layers, n_heads, ff;
	int64_t vocab;       /* codes; the id `vocab` is the start token */
	int64_t n_codebooks; /* of all channels */
	int64_t channels;    /* 1 or 2 */
	int64_t max_positions;
	int64_t text_width;
	bool relu; /* else gelu */
};

struct lm_layer {
	struct gpu_tensor *norm_self_w, *norm_self_b;   /* [H] */
	struct gpu_tensor *qkv;                         /* [3H, H] */
	struct gpu_tensor *self_out;                    /* [H, H] */
	struct gpu_tensor *norm_cross_w, *norm_cross_b; /* [H] */
	struct gpu_tensor *cross_q;                     /* [H, H] */
	struct gpu_tensor *cross_kv;                    /* [2H, H] */
	struct gpu_tensor *cross_out;                   /* [H, H] */
	struct gpu_tensor *norm_ff_w, *norm_ff_b;       /* [H] */
	struct gpu_tensor *fc1;                         /* [ff, H] */
	struct gpu_tensor *fc2;                         /* [H, ff] */
};

struct lm {
	struct lm_config cfg;
	struct gpu_tensor *text_w, *text_b; /* [H, text_width], [H]; NULL when the widths agree */
	struct gpu_tensor *embed;           /* [K * (vocab + 1), H] */
	struct gpu_tensor *norm_w, *norm_b; /* [H] */
	struct gpu_tensor *heads;           /* [K * vocab, H] */
	struct lm_layer *layers;            /* in the arena given to lm_bind() */
};

/* Reads `decoder` of a config.json.  Errors show up in config_check(). */
void lm_configure(struct lm *lm, struct config *c, int64_t text_width);
/* dtype: of the matrices.  small: of embeddings and the text projection, F32
 * or BF16. */
void lm_bind(
	struct lm *lm, struct bind *b, struct arena *a, enum gpu_dtype dtype, enum gpu_dtype small);

struct lm_run {
	const struct lm *lm;
	struct gpu *g;
	enum gpu_dtype dtype; /* of the caches */
	int64_t n_rows, n_text_rows;
	struct gpu_tensor *positions;  /* [1 + max_columns, H]; row 1 is position 0 */
	struct gpu_kv **self, **cross; /* [n_layers]; owned */
};

/* Device memory comes from arena a.  max_columns: how many will be fed at
 * most; dtype: of the caches, F32 or BF16. */
struct lm_run *lm_run_new(const struct lm *lm, struct gpu *g, struct gpu_arena *a,
	enum gpu_dtype dtype, int64_t n_rows, int64_t n_text_rows, int64_t max_columns);
void lm_run_free(struct lm_run *run); /* NULL-safe */
/* text [S, text_width]: what the text rows see, S > 0.  Needed before the
 * first forward if there are text rows. */
void lm_condition(struct lm_run *run, struct gpu_arena *a, struct gpu_arena *step,
	const struct gpu_tensor *text);
void lm_restart(struct lm_run *run);
/* Feeds n columns: ids I32 [n_rows * n, K], rows ordered (row, column).
 * Returns the logits behind the last one, [n_rows * K, vocab], in `step`, or
 * NULL when they are not wanted. */
struct gpu_tensor *lm_forward(struct lm_run *run, struct gpu_arena *step,
	const struct gpu_tensor *ids, int64_t n, bool want_logits);
/* Feeds one column, ids [n_rows, K], at the position behind those fed, and returns its
 * logits.  at I32 [1, 1] on the device holds one more than that position, as
 * gpu_next_column() leaves it: the ops depend on nothing on the host (gpu_step_begin). */
struct gpu_tensor *lm_step(struct lm_run *run, struct gpu_arena *step, const struct gpu_tensor *ids,
	const struct gpu_tensor *at);

#endif
