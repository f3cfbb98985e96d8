/* Writes a MusicGen checkpoint of a released size with random weights, in
 * Hugging Face layout: what the benchmark loads, and its peer, too.
 *
 *	make_model SIZE DIR TOKENIZER_DIR [f32|bf16]
 *
 * SIZE: tiny, codec, small, medium, large, stereo-small, stereo-medium, stereo-large.
 * Sizes and names: docs/models/musicgen.md.  Values are normal with standard
 * deviation 0.02 (norms and magnitudes 1), drawn once for 4 MB and repeated:
 * speed does not depend on them. */
#include "library/base/str.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct size {
	const char *name;
	int hidden, layers, heads, codebooks;
	int t5_layers, filters;
};
static const struct size sizes[] = {
	{"tiny", 64, 2, 2, 4, 2, 4},
	{"codec", 64, 2, 2, 4, 2, 64}, /* the codec in its size beside a tiny decoder */
	{"small", 1024, 24, 16, 4, 12, 64},
	{"medium", 1536, 48, 24, 4, 12, 64},
	{"large", 2048, 48, 32, 4, 12, 64},
	{"stereo-small", 1024, 24, 16, 8, 12, 64},
	{"stereo-medium", 1536, 48, 24, 8, 12, 64},
	{"stereo-large", 2048, 48, 32, 8, 12, 64},
};

enum { BLOCK = 1 << 20, VOCAB = 32128, D_TEXT = 768, CODES = 2048, DIM = 128 };

struct writer {
	const struct size *size;
	bool bf16;
	bool payload; /* false: collect the header */
	struct str header;
	uint64_t offset;
	float *block;
	FILE *f;
	bool failed;
};

static uint64_t next_random(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void fill_block(float *block)
{
	uint64_t s = 1;
	for (int i = 0; i < BLOCK; i++) {
		/* The sum of four uniforms is near enough to a normal. */
		uint64_t r = next_random(&s);
		float sum = 0;
		for (int j = 0; j < 4; j++)
			sum += (float)(r >> 16 * j & 0xffff) / 65536.0f - 0.5f;
		block[i] = sum * 0.02f * 1.7320508f;
	}
}

static void put_values(struct writer *w, uint64_t n, float constant)
{
	static float values[1 << 16];
	static uint16_t halves[1 << 16];
	for (uint64_t done = 0; done < n && !w->failed;) {
		size_t m = n - done < (1 << 16) ? (size_t)(n - done) : (1 << 16);
		size_t from = (size_t)((w->offset + done) * 7919 % (BLOCK - (1 << 16)));
		for (size_t i = 0; i < m; i++)
			values[i] = isnan(constant) ? w->block[from + i] : constant;
		for (size_t i = 0; w->bf16 && i < m; i++) {
			uint32_t u;
			memcpy(&u, &values[i], 4);
			halves[i] = (uint16_t)(u >> 16);
		}
		size_t size = w->bf16 ? 2 : 4;
		w->failed = fwrite(w->bf16 ? (void *)halves : (void *)values, size, m, w->f) != m;
		done += m;
	}
}

/* One tensor: into the header, or its values. constant NAN: random. */
static void tensor(
	struct writer *w, float constant, const char *name, int n_dims, int a, int b, int c)
{
	const int dims[3] = {a, b, c};
	uint64_t n = 1;
	for (int i = 0; i < n_dims; i++)
		n *= (uint64_t)dims[i];
	if (w->payload) {
		put_values(w, n, constant);
	} else {
		uint64_t end = w->offset + n * (w->bf16 ? 2 : 4);
		str_printf(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
			w->header.n ? "," : "{", name, w->bf16 ? "BF16" : "F32");
		for (int i = 0; i < n_dims; i++)
			str_printf(&w->header, "%s%d", i ? "," : "", dims[i]);
		str_printf(&w->header, "],\"data_offsets\":[%llu,%llu]}",
			(unsigned long long)w->offset, (unsigned long long)end);
	}
	w->offset += n * (w->bf16 ? 2 : 4);
}

#define RANDOM           NAN
#define T1(c, a, ...)    (snprintf(name, sizeof(name), __VA_ARGS__), tensor(w, c, name, 1, a, 1, 1))
#define T2(c, a, b, ...) (snprintf(name, sizeof(name), __VA_ARGS__), tensor(w, c, name, 2, a, b, 1))
#define T3(c, a, b, d, ...)                                                                        \
	(snprintf(name, sizeof(name), __VA_ARGS__), tensor(w, c, name, 3, a, b, d))

static void text_encoder(struct writer *w)
{
	char name[200];
	T2(RANDOM, VOCAB, D_TEXT, "text_encoder.shared.weight");
	for (int i = 0; i < w->size->t5_layers; i++) {
		const char *p = "text_encoder.encoder.block";
		for (const char *q = "qkvo"; *q; q++)
			T2(RANDOM, D_TEXT, D_TEXT, "%s.%d.layer.0.SelfAttention.%c.weight", p, i,
				*q);
		if (i == 0)
			T2(RANDOM, 32, 12,
				"%s.0.layer.0.SelfAttention.relative_attention_bias.weight", p);
		T1(1, D_TEXT, "%s.%d.layer.0.layer_norm.weight", p, i);
		T2(RANDOM, 3072, D_TEXT, "%s.%d.layer.1.DenseReluDense.wi.weight", p, i);
		T2(RANDOM, D_TEXT, 3072, "%s.%d.layer.1.DenseReluDense.wo.weight", p, i);
		T1(1, D_TEXT, "%s.%d.layer.1.layer_norm.weight", p, i);
	}
	T1(1, D_TEXT, "text_encoder.encoder.final_layer_norm.weight");
}

static void decoder(struct writer *w)
{
	char name[200];
	const int h = w->size->hidden;
	const char *p = "decoder.model.decoder";
	T2(RANDOM, h, D_TEXT, "enc_to_dec_proj.weight");
	T1(RANDOM, h, "enc_to_dec_proj.bias");
	for (int k = 0; k < w->size->codebooks; k++) {
		T2(RANDOM, CODES + 1, h, "%s.embed_tokens.%d.weight", p, k);
		T2(RANDOM, CODES, h, "decoder.lm_heads.%d.weight", k);
	}
	T2(RANDOM, 2048, h, "%s.embed_positions.weights", p);
	for (int i = 0; i < w->size->layers; i++) {
		const char *const attention[] = {"self_attn", "encoder_attn"};
		const char *const part[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
		const char *const norm[] = {
			"self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"};
		for (int a = 0; a < 2; a++)
			for (int j = 0; j < 4; j++)
				T2(RANDOM, h, h, "%s.layers.%d.%s.%s.weight", p, i, attention[a],
					part[j]);
		for (int j = 0; j < 3; j++) {
			T1(1, h, "%s.layers.%d.%s.weight", p, i, norm[j]);
			T1(RANDOM, h, "%s.layers.%d.%s.bias", p, i, norm[j]);
		}
		T2(RANDOM, 4 * h, h, "%s.layers.%d.fc1.weight", p, i);
		T2(RANDOM, h, 4 * h, "%s.layers.%d.fc2.weight", p, i);
	}
	T1(1, h, "%s.layer_norm.weight", p);
	T1(RANDOM, h, "%s.layer_norm.bias", p);
}

/* Weight norm: direction, magnitude, bias. */
static void conv(struct writer *w, const char *side, const char *path, int out, int in, int k,
	bool transposed)
{
	char name[200];
	const int first = transposed ? in : out, second = transposed ? out : in;
	T3(RANDOM, first, second, k,
		"audio_encoder.%s.layers.%s.conv.parametrizations.weight.original1", side, path);
	T3(1, first, 1, 1, "audio_encoder.%s.layers.%s.conv.parametrizations.weight.original0",
		side, path);
	T1(RANDOM, out, "audio_encoder.%s.layers.%s.conv.bias", side, path);
}

static void resnet(struct writer *w, const char *side, int n, int dim)
{
	char path[32];
	snprintf(path, sizeof(path), "%d.block.1", n);
	conv(w, side, path, dim / 2, dim, 3, false);
	snprintf(path, sizeof(path), "%d.block.3", n);
	conv(w, side, path, dim, dim / 2, 1, false);
}

static void lstm(struct writer *w, const char *side, int n, int dim)
{
	char name[200];
	for (int l = 0; l < 2; l++)
		for (int j = 0; j < 2; j++) {
			T2(RANDOM, 4 * dim, dim, "audio_encoder.%s.layers.%d.lstm.weight_%s_l%d",
				side, n, j ? "hh" : "ih", l);
			T1(RANDOM, 4 * dim, "audio_encoder.%s.layers.%d.lstm.bias_%s_l%d", side, n,
				j ? "hh" : "ih", l);
		}
}

static void codec(struct writer *w)
{
	static const int ratios[] = {8, 5, 4, 4};
	char name[200], path[32];
	const int f = w->size->filters;
	conv(w, "decoder", "0", 16 * f, DIM, 7, false);
	lstm(w, "decoder", 1, 16 * f);
	for (int i = 0, dim = 16 * f; i < 4; i++, dim /= 2) {
		snprintf(path, sizeof(path), "%d", 3 + 3 * i);
		conv(w, "decoder", path, dim / 2, dim, 2 * ratios[i], true);
		resnet(w, "decoder", 4 + 3 * i, dim / 2);
	}
	conv(w, "decoder", "15", 1, f, 7, false);
	conv(w, "encoder", "0", f, 1, 7, false);
	for (int i = 0, dim = f; i < 4; i++, dim *= 2) {
		resnet(w, "encoder", 1 + 3 * i, dim);
		snprintf(path, sizeof(path), "%d", 3 + 3 * i);
		conv(w, "encoder", path, 2 * dim, dim, 2 * ratios[3 - i], false);
	}
	lstm(w, "encoder", 13, 16 * f);
	conv(w, "encoder", "15", DIM, 16 * f, 7, false);
	for (int q = 0; q < 4; q++) {
		const char *p = "audio_encoder.quantizer.layers";
		T2(RANDOM, CODES, DIM, "%s.%d.codebook.embed", p, q);
		T2(RANDOM, CODES, DIM, "%s.%d.codebook.embed_avg", p, q);
		T1(1, CODES, "%s.%d.codebook.cluster_size", p, q);
		T1(1, 1, "%s.%d.codebook.inited", p, q);
	}
}

static void all_tensors(struct writer *w)
{
	w->offset = 0;
	text_encoder(w);
	decoder(w);
	codec(w);
}

static int write_weights(struct writer *w, const char *dir)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	w->f = fopen(path, "wb");
	if (!w->f)
		return -1;
	all_tensors(w);
	str_add(&w->header, ",\"__metadata__\":{\"format\":\"pt\"}}");
	while (w->header.n % 8)
		str_add_char(&w->header, ' ');
	uint64_t n = w->header.n;
	w->failed = fwrite(&n, 8, 1, w->f) != 1 || fwrite(w->header.s, 1, n, w->f) != n;
	w->payload = true;
	all_tensors(w);
	return fclose(w->f) || w->failed ? -1 : 0;
}

static int write_config(const struct size *s, const char *dir)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/config.json", dir);
	FILE *f = fopen(path, "w");
	if (!f)
		return -1;
	fprintf(f,
		"{\"model_type\":\"musicgen\",\"architectures\":["
		"\"MusicgenForConditionalGeneration\"],"
		"\"is_encoder_decoder\":true,\n\"text_encoder\":{\"model_type\":\"t5\",\"d_model\":"
		"%d,"
		"\"d_kv\":64,\"d_ff\":3072,\"num_layers\":%d,\"num_heads\":12,\"vocab_size\":%d,"
		"\"relative_attention_num_buckets\":32,\"relative_attention_max_distance\":128,"
		"\"layer_norm_epsilon\":1e-6,\"feed_forward_proj\":\"relu\",\"pad_token_id\":0,"
		"\"eos_token_id\":1,\"decoder_start_token_id\":0},\n",
		D_TEXT, s->t5_layers, VOCAB);
	fprintf(f,
		"\"audio_encoder\":{\"model_type\":\"encodec\",\"audio_channels\":1,"
		"\"sampling_rate\":32000,\"codebook_size\":%d,\"codebook_dim\":%d,\"hidden_size\":%"
		"d,"
		"\"num_filters\":%d,\"num_residual_layers\":1,\"upsampling_ratios\":[8,5,4,4],"
		"\"kernel_size\":7,\"last_kernel_size\":7,\"residual_kernel_size\":3,"
		"\"dilation_growth_rate\":2,\"compress\":2,\"num_lstm_layers\":2,"
		"\"norm_type\":\"weight_norm\",\"pad_mode\":\"reflect\",\"use_causal_conv\":false,"
		"\"use_conv_shortcut\":false,\"trim_right_ratio\":1.0,\"normalize\":false,"
		"\"chunk_length_s\":null,\"overlap\":null,\"target_bandwidths\":[2.2]},\n",
		CODES, DIM, DIM, s->filters);
	fprintf(f,
		"\"decoder\":{\"model_type\":\"musicgen_decoder\",\"hidden_size\":%d,"
		"\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"ffn_dim\":%d,\"vocab_size\":"
		"%d,"
		"\"num_codebooks\":%d,\"audio_channels\":%d,\"max_position_embeddings\":2048,"
		"\"activation_function\":\"gelu\",\"scale_embedding\":false,\"pad_token_id\":%d,"
		"\"bos_token_id\":%d,\"tie_word_embeddings\":false}}\n",
		s->hidden, s->layers, s->heads, 4 * s->hidden, CODES, s->codebooks,
		s->codebooks / 4, CODES, CODES);
	if (fclose(f))
		return -1;
	snprintf(path, sizeof(path), "%s/generation_config.json", dir);
	f = fopen(path, "w");
	if (!f)
		return -1;
	fprintf(f, "{\"bos_token_id\":2048,\"decoder_start_token_id\":2048,\"do_sample\":true,"
		   "\"guidance_scale\":3.0,\"max_length\":1500,\"pad_token_id\":2048}\n");
	return fclose(f);
}

static int copy_tokenizer(const char *from, const char *dir)
{
	char path[4096], buffer[1 << 16];
	snprintf(path, sizeof(path), "%s/spiece.model", from);
	FILE *in = fopen(path, "rb");
	snprintf(path, sizeof(path), "%s/spiece.model", dir);
	FILE *out = in ? fopen(path, "wb") : NULL;
	bool ok = out;
	for (size_t n; ok && (n = fread(buffer, 1, sizeof(buffer), in)) > 0;)
		ok = fwrite(buffer, 1, n, out) == n;
	if (in)
		fclose(in);
	return out && fclose(out) == 0 && ok ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct size *size = NULL;
	for (size_t i = 0; argc >= 4 && i < sizeof(sizes) / sizeof(*sizes); i++)
		if (strcmp(argv[1], sizes[i].name) == 0)
			size = &sizes[i];
	if (!size) {
		fprintf(stderr, "usage: make_model SIZE DIR TOKENIZER_DIR [f32|bf16]\n");
		return 2;
	}
	struct writer w = {.size = size, .bf16 = argc > 4 && strcmp(argv[4], "bf16") == 0};
	w.block = malloc(BLOCK * sizeof(float));
	if (!w.block)
		return 1;
	fill_block(w.block);
	if ((mkdir(argv[2], 0777) && errno != EEXIST) || write_config(size, argv[2]) ||
		copy_tokenizer(argv[3], argv[2]) || write_weights(&w, argv[2])) {
		fprintf(stderr, "make_model: cannot write %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	str_done(&w.header);
	free(w.block);
	return 0;
}
