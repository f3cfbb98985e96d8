/* What runs on a GPU and when, by CUPTI, of a program that knows nothing of it:
 *
 *	ninja -C BUILD tests/gpu/trace.so
 *	CUDA_INJECTION64_PATH=$PWD/BUILD/tests/gpu/trace.so TRACE=FILE PROGRAM
 *
 * CUDA loads this library when it starts.  FILE has a line for each kernel, nodes of graphs
 * too: begin and end in ns, grid and block (their threads' number), registers, bytes of shared
 * memory, name; and for each copy and fill its bytes.  tests/gpu/kernels sums it up. */
#include <cupti.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER = 8 << 20 };

static FILE *out;

static void CUPTIAPI new_buffer(uint8_t **ret, size_t *ret_size, size_t *ret_max_records)
{
	*ret = aligned_alloc(ACTIVITY_RECORD_ALIGNMENT, BUFFER);
	*ret_size = *ret ? BUFFER : 0;
	*ret_max_records = 0;
}

static void tell(const CUpti_Activity *record)
{
	if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
		const CUpti_ActivityKernel10 *k = (const void *)record;
		fprintf(out, "%" PRIu64 "\t%" PRIu64 "\t%d,%d,%d\t%d\t%d\t%d\t%s\n", k->start,
			k->end, k->gridX, k->gridY, k->gridZ, k->blockX * k->blockY * k->blockZ,
			k->registersPerThread, k->staticSharedMemory + k->dynamicSharedMemory,
			k->name);
	} else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
		const CUpti_ActivityMemcpy6 *m = (const void *)record;
		fprintf(out, "%" PRIu64 "\t%" PRIu64 "\t\t\t\t%" PRIu64 "\tcopy of kind %d\n",
			m->start, m->end, m->bytes, m->copyKind);
	} else if (record->kind == CUPTI_ACTIVITY_KIND_MEMSET) {
		const CUpti_ActivityMemset4 *m = (const void *)record;
		fprintf(out, "%" PRIu64 "\t%" PRIu64 "\t\t\t\t%" PRIu64 "\tfill\n", m->start,
			m->end, m->bytes);
	}
}

static void CUPTIAPI full_buffer(
	CUcontext context, uint32_t stream, uint8_t *buffer, size_t size, size_t n_valid)
{
	CUpti_Activity *record = NULL;

	while (cuptiActivityGetNextRecord(buffer, n_valid, &record) == CUPTI_SUCCESS)
		tell(record);
	free(buffer);
}

static void at_end(void)
{
	cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
	fclose(out);
}

/* Called by CUDA. */
__attribute__((visibility("default"))) int InitializeInjection(void);
int InitializeInjection(void)
{
	const char *path = getenv("TRACE");

	out = path ? fopen(path, "w") : NULL;
	if (!out)
		return 0;
	atexit(at_end);
	cuptiActivityRegisterCallbacks(new_buffer, full_buffer);
	cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
	cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMCPY);
	cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMSET);
	return 1;
}
