/* Stable Audio's conditioners, as diffusers' StableAudioProjectionModel and
 * stable-audio-tools' NumberConditioner have them:
 *
 *	x      = (clamp(seconds) - least) / (most - least)
 *	number = W [x, sin 2 pi x w, cos 2 pi x w] + b     [1, 768]; w of 128 learned
 *	rows   = text (projected where its width differs), zeros, start, end
 *	global = start, end side by side
 *
 * Trap: sines come before cosines here, behind them in the transformer's time. */
#include "engine/nets/sa_conditioner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"

enum { N_FREQ = 128, MAX_TOKENS = 4096, MAX_CONDITIONS = 8 };

static const char *const names[SA_NUMBERS] = {"seconds_start", "seconds_total"};

/* The list of conditions of a model_config.json. */
static void configure_tools(struct sa_conditioner *s, struct config *c)
{
	char key[96];

	s->width = config_int(c, "model.conditioning.cond_dim", 768, 1, 16384);
	s->text_width = s->width;
	for (int i = 0; i < MAX_CONDITIONS; i++) {
#define KEY(rest) (snprintf(key, sizeof(key), "model.conditioning.configs.%d." rest, i), key)
		if (!config_has(c, KEY("id")))
			break;
		const char *id = config_str(c, KEY("id"), NULL), *type;
		type = config_str(c, KEY("type"), NULL);
		int which = !strcmp(id, names[SA_START]) ? SA_START : SA_END;
		if (!strcmp(id, "prompt")) {
			config_require(c, !strcmp(type, "t5"),
				"a prompt read by '%s' is not supported, only t5 is", type);
			s->n_tokens = config_int(c, KEY("config.max_length"), 128, 1, MAX_TOKENS);
			const char *t5 = config_str(c, KEY("config.t5_model_name"), "t5-base");
			config_require(c, !strcmp(t5, "t5-base"),
				"the text encoder '%s' is not supported, only t5-base is", t5);
			continue;
		}
		config_require(c, !strcmp(id, names[which]) && !strcmp(type, "number"),
			"the condition '%s' of type '%s' is not supported", id, type);
		s->has[which] = true;
		s->least = config_num(c, KEY("config.min_val"), 0, -1e6, 1e6);
		s->most[which] = config_num(c, KEY("config.max_val"), 512, s->least + 1e-6, 1e6);
#undef KEY
	}
	config_require(c, s->n_tokens && s->has[SA_END],
		"the model has no prompt or no seconds_total among its conditions");
}

void sa_conditioner_configure(struct sa_conditioner *s, struct config *c,
	enum sa_conditioner_names layout, int64_t n_tokens)
{
	*s = (struct sa_conditioner){.names = layout, .n_tokens = n_tokens};
	if (layout == SA_CONDITIONER_TOOLS) {
		configure_tools(s, c);
		return;
	}
	s->text_width = config_int(c, "text_encoder_dim", CONFIG_REQUIRED, 1, 16384);
	s->width = config_int(c, "conditioning_dim", CONFIG_REQUIRED, 1, 16384);
	s->least = config_num(c, "min_value", NAN, -1e6, 1e6);
	s->most[SA_START] = s->most[SA_END] = config_num(c, "max_value", NAN, s->least + 1e-6, 1e6);
	s->has[SA_START] = s->has[SA_END] = true;
}

void sa_conditioner_bind(struct sa_conditioner *s, struct bind *b)
{
	static const char *const prefix[2][SA_NUMBERS] = {
		{"projection_model/start_number_conditioner.time_positional_embedding",
			"projection_model/end_number_conditioner.time_positional_embedding"},
		{"conditioner.conditioners.seconds_start.embedder.embedding",
			"conditioner.conditioners.seconds_total.embedder.embedding"}};

	if (s->width != s->text_width) {
		bind_matrix(b, &s->project, GPU_F32, s->width, s->text_width,
			"projection_model/text_projection.weight%s", "");
		bind_rows(b, &s->b_project, GPU_F32, SHAPE(s->width),
			"projection_model/text_projection.bias%s", "");
	}
	for (int i = 0; i < SA_NUMBERS; i++) {
		const char *p = prefix[s->names][i];
		if (!s->has[i])
			continue;
		bind_rows(b, &s->number[i].freq, GPU_F32, SHAPE(N_FREQ), "%s.0.weights", p);
		bind_matrix(
			b, &s->number[i].w, GPU_F32, s->width, 2 * N_FREQ + 1, "%s.1.weight", p);
		bind_rows(b, &s->number[i].bias, GPU_F32, SHAPE(s->width), "%s.1.bias", p);
	}
}

struct gpu_tensor *sa_conditioner_number(const struct sa_conditioner *s, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step, int which, double seconds)
{
	const double most = s->most[which];
	const double clamped = seconds < s->least ? s->least : seconds > most ? most : seconds;
	const float x = ((float)clamped - (float)s->least) / (float)(most - s->least);
	struct gpu_tensor *row = gpu_new(g, a, GPU_F32, names[which], SHAPE(1, s->width));
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *f = gpu_new(g, step, GPU_F32, "features", SHAPE(1, 2 * N_FREQ + 1));
	float freq[N_FREQ] = {0}, v[2 * N_FREQ + 1];

	gpu_read(g, s->number[which].freq, freq, sizeof(freq));
	v[0] = x;
	for (int i = 0; i < N_FREQ; i++) {
		const float angle = x * freq[i] * 2 * (float)M_PI;
		v[1 + i] = sinf(angle);
		v[1 + N_FREQ + i] = cosf(angle);
	}
	gpu_write(g, f, v, sizeof(v));
	gpu_linear(g, row, f, s->number[which].w, s->number[which].bias);
	gpu_arena_release(step, mark);
	return row;
}

struct gpu_tensor *sa_conditioner_rows(const struct sa_conditioner *s, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step, const struct gpu_tensor *text,
	struct gpu_tensor *const numbers[SA_NUMBERS])
{
	const int64_t n_rows = s->n_tokens + s->has[SA_START] + s->has[SA_END];
	struct gpu_tensor *rows = gpu_zeros(g, a, GPU_F32, "condition", SHAPE(n_rows, s->width));
	struct gpu_tensor *to = gpu_view(g, step, rows, 0, 0, text->ne[0]);
	int64_t at = s->n_tokens;

	if (s->project)
		gpu_linear(g, to, text, s->project, s->b_project);
	else
		gpu_copy(g, to, text);
	for (int i = 0; i < SA_NUMBERS; i++)
		if (s->has[i])
			gpu_copy(g, gpu_view(g, step, rows, 0, at++, 1), numbers[i]);
	return rows;
}

struct gpu_tensor *sa_conditioner_global(const struct sa_conditioner *s, struct gpu *g,
	struct gpu_arena *a, struct gpu_tensor *const numbers[SA_NUMBERS])
{
	const int n = s->has[SA_START] + s->has[SA_END];
	struct gpu_tensor *rows = gpu_new(g, a, GPU_F32, "global", SHAPE(n, s->width));

	for (int i = 0, at = 0; i < SA_NUMBERS; i++)
		if (s->has[i])
			gpu_copy(g, gpu_view(g, a, rows, 0, at++, 1), numbers[i]);
	return gpu_reshape(g, a, rows, SHAPE(1, n * s->width));
}
