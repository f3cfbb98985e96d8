/* The sticky error, and shapes in messages: what a device's module links as well. */
#include "gpu/ops.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool gpu_failed(const struct gpu *g)
{
	return __atomic_load_n(&g->error.code, __ATOMIC_ACQUIRE) != 0;
}

/* gpu_put_rows() may fail on several threads at once. */
void gpu_fail(struct gpu *g, int code, const char *fmt, ...)
{
	struct err now = {0};
	char text[sizeof(now.text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&now, code, "%s", text);
	pthread_mutex_lock(&g->fail_lock);
	if (!gpu_failed(g)) {
		memcpy(g->error.text, now.text, sizeof(now.text));
		__atomic_store_n(&g->error.code, code, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&g->fail_lock);
}

const char *gpu_shape_text(const int64_t *ne, int n_dims, char out[GPU_SHAPE_TEXT])
{
	int n = snprintf(out, GPU_SHAPE_TEXT, "[");

	for (int i = 0; i < n_dims && i < 4; i++)
		n += snprintf(out + n, (size_t)(GPU_SHAPE_TEXT - n), "%s%lld", i ? ", " : "",
			(long long)ne[i]);
	snprintf(out + n, (size_t)(GPU_SHAPE_TEXT - n), "]");
	return out;
}
