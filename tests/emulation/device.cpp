/* The device that there seems to be, its memory, and faults that are wished for. */
#include "tests/emulation/emulator.hpp"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- what is wished for ------------------------------------------------- */

static struct emulator_device device;

static void wish(const char *item)
{
	static const struct {
		const char *name;
		cudaError_t error;
	} at_launch[] = {
		{"illegal-address@", cudaErrorIllegalAddress},
		{"ecc@", cudaErrorECCUncorrectable},
		{"fallen-off-the-bus@", cudaErrorUnknown},
	};

	if (!strcmp(item, "no-driver"))
		device.driver = 0;
	else if (!strcmp(item, "old-driver"))
		device.driver = 11080;
	else if (!strcmp(item, "no-device"))
		device.n = 0;
	else if (!strcmp(item, "old-device"))
		device.arch = 61;
	else if (!strcmp(item, "busy"))
		device.opening = cudaErrorDevicesUnavailable;
	else if (!strcmp(item, "out-of-memory"))
		device.opening = cudaErrorMemoryAllocation;
	else if (!strcmp(item, "no-image"))
		device.has_no_image = true;
	else if (!strcmp(item, "no-pinned"))
		device.has_no_pinned = true;
	else if (!strcmp(item, "eager"))
		device.is_eager = true;
	else if (!strncmp(item, "memory=", 7))
		device.memory = strtoull(item + 7, NULL, 10);
	else if (!strncmp(item, "arch=", 5))
		device.arch = atoi(item + 5);
	for (size_t i = 0; i < sizeof(at_launch) / sizeof(*at_launch); i++) {
		const size_t n = strlen(at_launch[i].name);
		if (!strncmp(item, at_launch[i].name, n)) {
			device.fault = at_launch[i].error;
			device.fault_at = strtoull(item + n, NULL, 10);
		}
	}
}

/* Of a block, by compute capability: CUDA C++ Programming Guide, table "Technical
 * Specifications per Compute Capability". */
static size_t max_shared(int arch)
{
	switch (arch) {
	case 75:
		return 64 << 10;
	case 80:
	case 87:
		return 163 << 10;
	case 86:
	case 89:
	case 120:
		return 99 << 10;
	default:
		return arch < 75 ? 48 << 10 : 227 << 10;
	}
}

struct emulator_device *emulator_device(void)
{
	static bool is_known;
	const char *wishes = getenv("WOODSHED_EMULATED_FAULT");
	char text[256], *rest = text, *item;

	if (is_known)
		return &device;
	is_known = true;
	device.driver = 13000;
	device.n = 1;
	device.arch = 90;
	device.memory = (size_t)8 << 30;
	snprintf(text, sizeof(text), "%s", wishes ? wishes : "");
	while ((item = strsep(&rest, ",")))
		wish(item);
	device.max_shared = max_shared(device.arch);
	return &device;
}

extern "C" __attribute__((visibility("default"))) void emulation_count(struct emulation_counts *ret)
{
	emulator_lock();
	*ret = device.counts;
	emulator_unlock(cudaSuccess);
}

/* Calls before the first that makes a context. */
static cudaError_t found(void)
{
	const struct emulator_device *d = emulator_device();

	return d->driver < 12000 ? cudaErrorInsufficientDriver
	       : d->n < 1        ? cudaErrorNoDevice
				 : cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *ret)
{
	*ret = emulator_device()->driver;
	return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *ret)
{
	*ret = CUDART_VERSION;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *ret)
{
	emulator_lock();
	*ret = found() == cudaSuccess ? 1 : 0;
	return emulator_unlock(found());
}

cudaError_t cudaGetDevice(int *ret)
{
	emulator_lock();
	*ret = 0;
	return emulator_unlock(found());
}

cudaError_t cudaSetDevice(int n)
{
	emulator_lock();
	return emulator_unlock(n ? cudaErrorInvalidDevice : found());
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *ret, int n)
{
	const struct emulator_device *d = emulator_device();

	emulator_lock();
	if (n || found() != cudaSuccess)
		return emulator_unlock(n ? cudaErrorInvalidDevice : found());
	*ret = {};
	snprintf(ret->name, sizeof(ret->name), "emulated GPU");
	ret->totalGlobalMem = d->memory;
	ret->sharedMemPerBlock = SHARED_PLAIN;
	ret->sharedMemPerBlockOptin = d->max_shared;
	ret->sharedMemPerMultiprocessor = d->max_shared + 1024;
	ret->regsPerBlock = 65536;
	ret->warpSize = LANES;
	ret->maxThreadsPerBlock = MAX_THREADS;
	ret->maxThreadsDim[0] = ret->maxThreadsDim[1] = MAX_THREADS;
	ret->maxThreadsDim[2] = 64;
	ret->maxGridSize[0] = INT32_MAX;
	ret->maxGridSize[1] = ret->maxGridSize[2] = 65535;
	ret->major = d->arch / 10;
	ret->minor = d->arch % 10;
	ret->multiProcessorCount = 16;
	ret->maxThreadsPerMultiProcessor = 2048;
	ret->l2CacheSize = 8 << 20;
	return emulator_unlock(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int *ret, enum cudaDeviceAttr what, int n)
{
	struct cudaDeviceProp p;
	const cudaError_t error = cudaGetDeviceProperties(&p, n);

	if (error != cudaSuccess)
		return error;
	switch (what) {
	case cudaDevAttrMultiProcessorCount:
		*ret = p.multiProcessorCount;
		return cudaSuccess;
	case cudaDevAttrComputeCapabilityMajor:
		*ret = p.major;
		return cudaSuccess;
	case cudaDevAttrComputeCapabilityMinor:
		*ret = p.minor;
		return cudaSuccess;
	case cudaDevAttrMaxSharedMemoryPerBlockOptin:
		*ret = (int)p.sharedMemPerBlockOptin;
		return cudaSuccess;
	}
	return cudaErrorInvalidValue;
}

/* ---- device memory ------------------------------------------------------ */

enum { PAGE = 4096, FILL_MAX = 64 << 20 };

uintptr_t emulator_base;
size_t emulator_bytes;
uint8_t *emulator_open;
struct emulator_trace *emulator_traces;

/* In order of address; freed ones stay, for reports. */
static struct allocation {
	uintptr_t at;
	size_t bytes;
	unsigned number;
	bool is_freed;
} * allocations;
static size_t n_allocations;
static unsigned number;

static bool reserve(void)
{
	size_t bytes = (size_t)64 << 30;

	while (bytes < 4 * device.memory)
		bytes *= 2;
	void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *open = mmap(NULL, bytes / 8 + PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || open == MAP_FAILED)
		return false;
	void *traces = mmap(NULL, bytes / EMULATOR_WORD * sizeof(*emulator_traces),
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	emulator_traces = traces == MAP_FAILED ? NULL : (struct emulator_trace *)traces;
	emulator_base = (uintptr_t)p;
	emulator_bytes = bytes;
	emulator_open = (uint8_t *)open;
	return true;
}

void emulator_set_open(void *p, size_t bytes, bool open)
{
	size_t off = (uintptr_t)p - emulator_base;

	for (; bytes && off % 8; off++, bytes--)
		emulator_open[off / 8] = (uint8_t)(open ? emulator_open[off / 8] | 1 << off % 8
							: emulator_open[off / 8] & ~(1 << off % 8));
	memset(emulator_open + off / 8, open ? 0xff : 0, bytes / 8);
	off += bytes / 8 * 8;
	for (bytes %= 8; bytes; off++, bytes--)
		emulator_open[off / 8] = (uint8_t)(open ? emulator_open[off / 8] | 1 << off % 8
							: emulator_open[off / 8] & ~(1 << off % 8));
}

const void *emulator_first_closed(const void *p, size_t bytes)
{
	size_t off = (uintptr_t)p - emulator_base;
	const size_t end = off + bytes;

	while (off < end) {
		const uint8_t *byte = &emulator_open[off / 8];
		uint64_t bits;
		memcpy(&bits, byte, sizeof(bits));
		if (off % 8 == 0 && end - off >= 64 && bits == UINT64_MAX)
			off += 64;
		else if (off < emulator_bytes && *byte >> off % 8 & 1)
			off++;
		else
			return (const void *)(emulator_base + off);
	}
	return NULL;
}

/* The last allocation that begins at or before p, or NULL. */
static struct allocation *find(const void *p)
{
	struct allocation *found = NULL;
	size_t low = 0, high = n_allocations;

	while (low < high) {
		const size_t mid = (low + high) / 2;
		if (allocations[mid].at <= (uintptr_t)p) {
			found = &allocations[mid];
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	return found;
}

bool emulator_is_allocated(const void *p, size_t bytes)
{
	const struct allocation *a = find(p);

	return a && !a->is_freed && bytes <= a->bytes && (uintptr_t)p - a->at <= a->bytes - bytes;
}

void emulator_describe_device(const void *p, char out[EMULATOR_TEXT])
{
	const struct allocation *a = find(p);

	if (!a)
		snprintf(out, EMULATOR_TEXT, "device memory before all allocations");
	else
		snprintf(out, EMULATOR_TEXT, "%sallocation %u (%zu bytes) + %zu%s",
			a->is_freed ? "freed " : "", a->number, a->bytes, (uintptr_t)p - a->at,
			!a->is_freed && (uintptr_t)p - a->at < a->bytes &&
					emulator_first_closed(p, 1)
				? ", which no tensor owns"
				: "");
}

/* What is undefined holds NaNs: as f32, bf16 and double. */
static void fill(void *p, size_t bytes)
{
	if (bytes <= FILL_MAX)
		memset(p, 0xff, bytes);
}

static size_t pages(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* After the last, with an unused page between. */
static void *place(size_t bytes)
{
	const struct allocation *last = n_allocations ? &allocations[n_allocations - 1] : NULL;
	const uintptr_t at = last ? last->at + pages(last->bytes) + PAGE : emulator_base + PAGE;

	if (emulator_base + emulator_bytes - at < pages(bytes) + PAGE)
		return NULL; /* 64 GiB were allocated and freed */
	allocations = (struct allocation *)realloc(
		allocations, (n_allocations + 1) * sizeof(*allocations));
	if (!allocations)
		abort();
	allocations[n_allocations++] = {at, bytes, ++number, false};
	return (void *)at;
}

cudaError_t emulator_alloc(void **ret, size_t bytes)
{
	struct emulation_counts *c = &device.counts;

	*ret = NULL;
	if (!bytes)
		return cudaSuccess;
	if (bytes > device.memory - c->bytes || (!emulator_open && !reserve()))
		return cudaErrorMemoryAllocation;
	void *p = place(bytes);
	if (!p || mprotect(p, pages(bytes), PROT_READ | PROT_WRITE))
		return cudaErrorMemoryAllocation;
	emulator_set_open(p, bytes, true);
	fill(p, bytes);
	c->bytes += bytes;
	if (c->bytes > c->bytes_peak)
		c->bytes_peak = c->bytes;
	*ret = p;
	return cudaSuccess;
}

cudaError_t emulator_free(void *p)
{
	struct allocation *a = find(p);

	if (!p)
		return cudaSuccess;
	if (!a || a->at != (uintptr_t)p || a->is_freed)
		return cudaErrorInvalidValue;
	emulator_set_open(p, a->bytes, false);
	madvise(p, pages(a->bytes), MADV_DONTNEED);
	mprotect(p, pages(a->bytes), PROT_NONE);
	if (emulator_traces)
		madvise(emulator_traces + (a->at - emulator_base) / EMULATOR_WORD,
			pages(a->bytes) / EMULATOR_WORD * sizeof(*emulator_traces), MADV_DONTNEED);
	device.counts.bytes -= a->bytes;
	a->is_freed = true;
	return cudaSuccess;
}

struct guard {
	struct operation op;
	void *p;
	size_t bytes;
	bool open;
};

static void run_guard(struct operation *op)
{
	const struct guard *g = (const struct guard *)op;

	/* Memory may be freed before the end of a recording that used it. */
	if (!emulator_is_allocated(g->p, g->bytes))
		return;
	if (g->open && g->bytes && emulator_first_closed(g->p, g->bytes))
		fill(g->p, g->bytes);
	emulator_set_open(g->p, g->bytes, g->open);
}

void emulation_guard(void *p, size_t bytes, bool open)
{
	const struct guard g = {{NULL, sizeof(g), run_guard}, p, bytes, open};

	emulator_lock();
	emulator_submit(NULL, &g.op);
	emulator_unlock(cudaSuccess);
}
