/* device.h: memory, transfers and recordings of the CUDA device, for the table. */
#ifndef WOODSHED_GPU_CUDA_DEVICE_H
#define WOODSHED_GPU_CUDA_DEVICE_H

#include "gpu/cuda/cuda.h"

extern const struct gpu_ops cuda_ops;

void cuda_close(struct gpu *g);
int cuda_sync(struct gpu *g, struct err *e);
void *cuda_alloc(struct gpu *g, size_t bytes);
void cuda_release(struct gpu *g, void *p, size_t bytes);
uint64_t cuda_bytes_free(struct gpu *g);
int64_t cuda_piece(struct gpu *g);
void cuda_write(struct gpu *g, void *dst, const void *src, size_t bytes);
void cuda_read(struct gpu *g, void *dst, const void *src, size_t bytes);
void *cuda_reading_new(struct gpu *g, size_t bytes, void **ret_host);
void cuda_reading_free(struct gpu *g, void *reading);
void cuda_reading_begin(struct gpu *g, void *reading, const void *src, size_t bytes);
bool cuda_reading_end(struct gpu *g, void *reading);
void cuda_zero(struct gpu *g, void *dst, size_t bytes);
#if defined(WOODSHED_EMULATED)
void cuda_guard(struct gpu *g, void *p, size_t bytes, bool open);
#define CUDA_GUARD cuda_guard
#else
#define CUDA_GUARD NULL
#endif
void cuda_record(struct gpu *g);
void *cuda_record_end(struct gpu *g);
bool cuda_replay(struct gpu *g, void *recording);
void cuda_forget(struct gpu *g, void *recording);

#endif
