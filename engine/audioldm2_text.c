/* AudioLDM 2's texts: CLAP's text branch and T5, both projected, and GPT-2, which
 * turns them into eight vectors.
 *
 *	prompt -> RoBERTa's tokens -> CLAP -> one vector  \
 *	                                                    projection -> GPT-2 -> context 0
 *	prompt -> T5's tokens -> T5 -> states             /
 *	                               states                          -> context 1
 *
 * The reference pads the negative prompt to T5's length of the prompt, and cuts it
 * there.  Padding is masked wherever it could be seen, so here it is not computed;
 * what it leaves is the position of the last vector that GPT-2 reads. */
#include "engine/audioldm2.h"

#include <string.h>
#include <stdlib.h>

#include "engine/pipeline.h"
#include "engine/text/bpe.h"
#include "engine/text/unigram.h"
#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/err.h"

enum {
	MOST_TOKENS = 2048,
	AROUND_T5 = 5, /* positions of GPT-2 for CLAP's vector and the tokens around both */
};

/* ---- opening ------------------------------------------------------------ */

static int read_limit(
	const char *dir, const char *path, int64_t otherwise, int64_t *ret, struct err *e)
{
	struct config *c;
	int rc = pipeline_config(dir, path, NULL, &c, e);

	if (rc)
		return rc;
	/* A tokenizer without a limit says 1e30. */
	const double limit = config_num(c, "model_max_length", (double)otherwise, 2, 1e31);
	*ret = limit < MOST_TOKENS ? (int64_t)limit : MOST_TOKENS;
	rc = config_check(c, e);
	config_close(c);
	return rc ? err_wrap(e, rc, "'%s/%s'", dir, path) : 0;
}

enum part { PART_CLAP, PART_T5, PART_PROJECTION, PART_GPT2, N_PARTS };

static int configure_part(struct aldm2_text *t, enum part part, const char *dir, struct err *e)
{
	static const char *const paths[N_PARTS] = {"text_encoder/config.json",
		"text_encoder_2/config.json", "projection_model/config.json",
		"language_model/config.json"};
	static const char *const classes[N_PARTS] = {
		[PART_PROJECTION] = "AudioLDM2ProjectionModel"};
	struct config *c;
	int rc = pipeline_config(dir, paths[part], classes[part], &c, e);

	if (rc)
		return rc;
	switch (part) {
	case PART_CLAP:
		clap_text_configure(&t->clap, c);
		break;
	case PART_T5:
		t5_configure(&t->t5, c, "");
		break;
	case PART_PROJECTION:
		aldm2_projection_configure(&t->projection, c);
		break;
	default:
		gpt2_configure(&t->gpt2, c);
	}
	rc = config_check(c, e);
	config_close(c);
	return rc ? err_wrap(e, rc, "'%s/%s'", dir, paths[part]) : 0;
}

static int open_words(struct aldm2_text *t, const char *dir, struct err *e)
{
	struct arena a = {0};
	int rc = bpe_open(arena_printf(&a, "%s/tokenizer", dir), &t->clap_words, e);

	if (!rc)
		rc = unigram_open(arena_printf(&a, "%s/tokenizer_2", dir), &t->t5_words, e);
	if (!rc)
		rc = read_limit(dir, "tokenizer/tokenizer_config.json", 512, &t->clap_max, e);
	if (!rc)
		rc = read_limit(dir, "tokenizer_2/tokenizer_config.json", 512, &t->t5_max, e);
	if (!rc && clap_text_max(&t->clap) < t->clap_max)
		t->clap_max = clap_text_max(&t->clap);
	if (!rc && t->t5_max == MOST_TOKENS) {
		/* Nothing but GPT-2 limits it. */
		const int64_t room = t->gpt2.max_positions - AROUND_T5 - t->gpt2.n_new;
		t->t5_max = room < 2 ? 2 : room < MOST_TOKENS ? room : MOST_TOKENS;
	}
	arena_done(&a);
	return rc;
}

int aldm2_text_open(struct aldm2_text *t, const char *dir, struct err *e)
{
	int rc = 0;

	for (int part = 0; part < N_PARTS && !rc; part++)
		rc = configure_part(t, (enum part)part, dir, e);
	return rc ? rc : open_words(t, dir, e);
}

void aldm2_text_done(struct aldm2_text *t)
{
	bpe_close(t->clap_words);
	unigram_close(t->t5_words);
}

int aldm2_text_check(const struct aldm2_text *t, const struct aldm2_unet *u, struct err *e)
{
	const struct aldm2_projection *p = &t->projection;
	const int64_t first = aldm2_unet_context_width(u, 0),
		      second = aldm2_unet_context_width(u, 1);

	if (p->widths[0] == t->clap.projection && p->widths[1] == t->t5.cfg.width &&
		p->width == t->gpt2.width && (!first || first == t->gpt2.width) &&
		(!second || second == t->t5.cfg.width) &&
		t->t5_max + AROUND_T5 + t->gpt2.n_new <= t->gpt2.max_positions)
		return 0;
	return err_set(e, ERR_FORMAT,
		"the parts of the model do not fit together (CLAP %lld and %lld, T5 %lld, %lld and "
		"%lld, GPT-2 %lld, %lld and %lld): download it again",
		(long long)t->clap.projection, (long long)p->widths[0], (long long)t->t5.cfg.width,
		(long long)p->widths[1], (long long)second, (long long)t->gpt2.width,
		(long long)p->width, (long long)first);
}

void aldm2_text_bind(struct aldm2_text *t, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *language_prefix)
{
	clap_text_bind(&t->clap, b, a, dtype, "text_encoder/");
	t5_bind(&t->t5, b, a, dtype, "text_encoder_2/");
	aldm2_projection_bind(&t->projection, b, dtype, "projection_model/");
	gpt2_bind(&t->gpt2, b, a, dtype, language_prefix);
}

/* ---- encoding ----------------------------------------------------------- */

struct encoding {
	const struct aldm2_text *t;
	struct gpu *g;
	struct gpu_arena *a, *step;
	const char *prompt;
	bool is_padded; /* to another prompt's length */
	const struct engine_watch *watch;
	struct err *e;
};

static int encode_clap(const struct encoding *c, struct gpu_tensor **ret)
{
	const struct aldm2_text *t = c->t;
	size_t n, n_cut;
	int32_t *ids;
	int rc = bpe_encode(t->clap_words, c->prompt, strlen(c->prompt), (size_t)t->clap_max, &ids,
		&n, &n_cut, c->e);

	if (rc)
		return rc;
	if (n_cut)
		watch_warn(c->watch,
			"the %s is too long for CLAP: the last %zu of its %zu tokens were cut off",
			c->is_padded ? "negative prompt" : "prompt", n_cut, n + n_cut);
	rc = pipeline_check_tokens(ids, n, t->clap.vocab, c->e);
	if (!rc)
		*ret = clap_text_encode(&t->clap, c->g, c->a, c->step, ids, (int64_t)n);
	free(ids);
	return rc;
}

/* ret_n: tokens, at most `most`, the last of which is </s>. */
static int encode_t5(
	const struct encoding *c, int64_t most, struct gpu_tensor **ret, int64_t *ret_n)
{
	const struct aldm2_text *t = c->t;
	int32_t *ids;
	size_t n;
	int rc = unigram_encode(t->t5_words, c->prompt, strlen(c->prompt), &ids, &n, c->e);

	if (rc)
		return rc;
	if ((int64_t)n > most) {
		watch_warn(c->watch,
			c->is_padded ? "the negative prompt is longer than the prompt, to whose "
				       "length it is cut: its last %zu of %zu tokens have no effect"
				     : "the prompt is too long for T5: the last %zu of its %zu "
				       "tokens were cut off",
			n - (size_t)most, n);
		ids[most - 1] = ids[n - 1];
		n = (size_t)most;
	}
	*ret_n = (int64_t)n;
	rc = pipeline_check_tokens(ids, n, t->t5.cfg.vocab, c->e);
	if (!rc)
		*ret = t5_encode(&t->t5, c->g, c->a, c->step, ids, *ret_n);
	free(ids);
	return rc;
}

int aldm2_text_encode(const struct aldm2_text *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const char *prompt, int64_t n_padded,
	const struct engine_watch *watch, struct aldm2_prompt *ret, struct err *e)
{
	const struct encoding c = {t, g, a, step, prompt, n_padded > 0, watch, e};
	int rc = encode_clap(&c, &ret->clap);

	if (!rc)
		rc = encode_t5(
			&c, n_padded ? n_padded : t->t5_max, &ret->contexts[1], &ret->n_tokens);
	if (rc)
		return rc;
	const int64_t n = ret->n_tokens;
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *x =
		aldm2_projection_forward(&t->projection, g, step, ret->clap, ret->contexts[1]);
	int32_t *positions = xcalloc((size_t)aldm2_projection_length(n), sizeof(*positions));
	aldm2_projection_positions(n, n_padded ? n_padded : n, positions);
	ret->contexts[0] = gpt2_generate(&t->gpt2, g, a, step, x, positions);
	free(positions);
	gpu_arena_release(step, mark);
	rc = gpu_sync(g, e);
	return rc ? err_wrap(e, rc, "text encoders") : 0;
}
