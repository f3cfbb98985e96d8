/* Stable Audio's conditions: what the transformer attends to, made from T5's output
 * and two numbers, where the take begins and ends in a longer one.
 *
 * Use: sa_conditioner_configure(), config_check(), sa_conditioner_bind(), bind_load(),
 * then the other calls any number of times. */
#ifndef WOODSHED_ENGINE_NETS_SA_CONDITIONER_H
#define WOODSHED_ENGINE_NETS_SA_CONDITIONER_H

#include "gpu/gpu.h"

struct bind;
struct config;

enum sa_conditioner_names { SA_CONDITIONER_DIFFUSERS, SA_CONDITIONER_TOOLS };

enum { SA_START, SA_END, SA_NUMBERS };

struct sa_conditioner {
	enum sa_conditioner_names names;
	int64_t text_width, width;              /* T5's, and that of the rows of the condition */
	int64_t n_tokens;                       /* rows of text */
	double least, most[SA_NUMBERS];         /* range of the numbers */
	bool has[SA_NUMBERS];                   /* small models know only the end */
	struct gpu_tensor *project, *b_project; /* NULL where the widths agree */
	struct {
		struct gpu_tensor *freq;     /* [n_freq] */
		struct gpu_tensor *w, *bias; /* [width, 2 n_freq + 1], [width] */
	} number[SA_NUMBERS];
};

/* Reads projection_model/config.json, or a model_config.json.  n_tokens: the most that
 * the tokenizer gives (the latter says it itself). */
void sa_conditioner_configure(struct sa_conditioner *s, struct config *c,
	enum sa_conditioner_names names, int64_t n_tokens);
void sa_conditioner_bind(struct sa_conditioner *s, struct bind *b);

/* The number as a row [1, width] in arena a. */
struct gpu_tensor *sa_conditioner_number(const struct sa_conditioner *s, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step, int which, double seconds);

/* text [n, text_width] of n <= n_tokens tokens -> [n_tokens + numbers, width]: the text,
 * zeros for the tokens there are not, the numbers (NULL where the model has none). */
struct gpu_tensor *sa_conditioner_rows(const struct sa_conditioner *s, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step, const struct gpu_tensor *text,
	struct gpu_tensor *const numbers[SA_NUMBERS]);
/* The numbers side by side: [1, width * numbers]. */
struct gpu_tensor *sa_conditioner_global(const struct sa_conditioner *s, struct gpu *g,
	struct gpu_arena *a, struct gpu_tensor *const numbers[SA_NUMBERS]);

#endif
