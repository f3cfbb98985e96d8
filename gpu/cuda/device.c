/* The CUDA device: opening, memory, transfers, recordings, and what errors mean.
 *
 * Everything runs on one stream, so ops, transfers and recordings are in order.  Bytes
 * from the host pass through pinned stages, which several threads may fill at once (put.cu)
 * while the device reads others.
 *
 * An error such as an illegal address leaves a CUDA process unusable: it becomes
 * ERR_GPU_LOST, which stays, and the worker ends. */
#include "gpu/cuda/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/str.h"

#if defined(WOODSHED_EMULATED)
#include "tests/emulation/emulation.h"
#endif

enum {
	MIN_ARCH = 75,
	/* A driver runs what toolkits of its major version built. */
	MIN_DRIVER = CUDART_VERSION / 1000 * 1000,
	RECORDS_EARLY = 12030, /* drivers for 12.3: graphs know programmatic dependent launches */
};

/* ---- errors ------------------------------------------------------------- */

static const struct {
	int code;
	const char *text;
} cuda_faults[] = {
	[CUDA_FAULT_LOGITS] = {ERR_GPU, "sample: logits of row %d are not finite"},
	[CUDA_FAULT_ID] = {ERR_BUG, "embed_sum: id %d is not a row of its table"},
};

/* Errors after which only a new process gets the device back. */
static bool is_fatal(cudaError_t error)
{
	switch ((int)error) {
	case cudaErrorIllegalAddress:
	case cudaErrorLaunchFailure:
	case cudaErrorLaunchTimeout:
	case cudaErrorECCUncorrectable:
	case cudaErrorHardwareStackError:
	case cudaErrorIllegalInstruction:
	case cudaErrorMisalignedAddress:
	case cudaErrorInvalidAddressSpace:
	case cudaErrorInvalidPc:
	case cudaErrorNvlinkUncorrectable:
	case cudaErrorAssert:
	case cudaErrorDevicesUnavailable:
	case cudaErrorContextIsDestroyed:
	case cudaErrorUnknown:
		return true;
	default:
		return false;
	}
}

/* Those, and whatever else comes back from a call that has nothing to do with it. */
static bool is_lost(const struct cuda *c, cudaError_t error)
{
	return is_fatal(error) ||
	       (c->stream && !c->is_recording && cudaStreamSynchronize(c->stream) == error);
}

bool cuda_ok(struct gpu *g, cudaError_t error, const char *what)
{
	char left[16];

	if (error == cudaSuccess)
		return true;
	cudaGetLastError(); /* a plain error is told once */
	if (error == cudaErrorMemoryAllocation)
		gpu_fail(g, ERR_NOMEM,
			"%s: the GPU is out of memory, %s is free; ask for a shorter take, fewer "
			"at once, a smaller precision or --device cpu",
			what, format_bytes(cuda_bytes_free(g), left));
	else if (is_lost(cuda_of(g), error))
		gpu_fail(g, ERR_GPU_LOST,
			"the GPU is lost: %s in %s; start woodshed again, and if that does not "
			"help, see what nvidia-smi and dmesg tell, or use --device cpu",
			cudaGetErrorString(error), what);
	else
		gpu_fail(g, ERR_GPU, "%s: %s", what, cudaGetErrorString(error));
	return false;
}

/* Nothing is wrong so far.  In order with the kernels: the null stream, where cudaMemset()
 * runs, does not wait for this one, nor this one for it. */
static bool clear_status(struct gpu *g, const char *what)
{
	struct cuda *c = cuda_of(g);

	return cuda_ok(g, cudaMemsetAsync(c->status, 0xff, sizeof(*c->status), c->stream), what);
}

/* Twins are for loading; a render has better uses for the memory. */
static void free_twins(struct cuda *c)
{
	for (int i = 0; i < CUDA_N_STAGES; i++) {
		if (c->stages[i].twin)
			cudaFree(c->stages[i].twin);
		c->stages[i].twin = NULL;
	}
}

/* Waits, and tells what kernels found wrong. */
int cuda_sync(struct gpu *g, struct err *e)
{
	struct cuda *c = cuda_of(g);
	unsigned long long s = ~0ull;

	if (!cuda_ok(g,
		    cudaMemcpyAsync(&s, c->status, sizeof(s), cudaMemcpyDeviceToHost, c->stream),
		    "sync") ||
		!cuda_ok(g, cudaStreamSynchronize(c->stream), "sync"))
		return 0;
	free_twins(c);
	if (s != ~0ull && clear_status(g, "sync") && (s & 0xff) < CUDA_N_FAULTS)
		gpu_fail(g, cuda_faults[s & 0xff].code, cuda_faults[s & 0xff].text, (int)(s >> 8));
	return 0;
}

/* ---- memory ------------------------------------------------------------- */

void *cuda_alloc(struct gpu *g, size_t bytes)
{
	void *p = NULL;
	const cudaError_t error = cudaMalloc(&p, bytes);

	if (error != cudaErrorMemoryAllocation) /* what went wrong before may come out here */
		return cuda_ok(g, error, "an allocation") ? p : NULL;
	cudaGetLastError(); /* the caller tells what was needed */
	return NULL;
}

/* cudaFree() "may" wait for what uses the memory, say NVIDIA. */
static void release(struct cuda *c, void *p)
{
	if (!p)
		return;
	cudaStreamSynchronize(c->stream);
	cudaFree(p);
}

void cuda_release(struct gpu *g, void *p, size_t bytes)
{
	release(cuda_of(g), p);
}

uint64_t cuda_bytes_free(struct gpu *g)
{
	size_t left = 0, all = 0;

	if (cudaMemGetInfo(&left, &all) == cudaSuccess)
		return left;
	cudaGetLastError(); /* or the next kernel would be blamed for it */
	return 0;
}

/* A launch takes the host 4 to 8 us (measured, H200); an op on 2^25 elements takes the GPU
 * ten times as long at 4 TB/s.  A decoder has a dozen such activations alive, and scratch of up
 * to seven. */
int64_t cuda_piece(struct gpu *g)
{
	enum { MOST = 1 << 25, LEAST = 1 << 20, ALIVE = 32 };
	const uint64_t left = cuda_bytes_free(g);
	int64_t n = MOST;

	while (left && n > LEAST && (uint64_t)n * ALIVE * sizeof(float) > left)
		n /= 2;
	return n;
}

/* A recording holds the addresses: what grows moves, and older recordings are stale. */
void *cuda_scratch(struct gpu *g, int i, size_t bytes)
{
	struct cuda *c = cuda_of(g);
	struct cuda_scratch *s = &c->scratch[i];

	if (s->at && bytes <= s->bytes)
		return s->at;
	if (c->is_recording) {
		gpu_fail(g, ERR_BUG, "a step needs more scratch than when it first ran");
		return NULL;
	}
	release(c, s->at);
	s->at = NULL;
	s->bytes = 0;
	c->generation++;
	if (!cuda_ok(g, cudaMalloc(&s->at, bytes), "scratch of an op")) {
		s->at = NULL;
		return NULL;
	}
	s->bytes = bytes;
	return s->at;
}

void cuda_zero(struct gpu *g, void *dst, size_t bytes)
{
	if (bytes)
		cuda_ok(g, cudaMemsetAsync(dst, 0, bytes, cuda_of(g)->stream), "zeros");
}

/* ---- transfers ---------------------------------------------------------- */

/* The host's memory, one of `n` pieces; a container may bound it, too. */
static bool pin(struct gpu *g, void **ret, size_t bytes, int n)
{
	const cudaError_t error = cudaMallocHost(ret, bytes);
	char all[16];

	if (error != cudaErrorMemoryAllocation)
		return cuda_ok(g, error, "memory of the host");
	cudaGetLastError();
	gpu_fail(g, ERR_GPU,
		"the system gives no %s of memory that the GPU can read; free some, raise the "
		"limit, or use --device cpu",
		format_bytes(bytes * (size_t)n, all));
	return false;
}

struct cuda_stage *cuda_stage_take(struct gpu *g)
{
	struct cuda *c = cuda_of(g);
	struct cuda_stage *s = NULL;

	pthread_mutex_lock(&c->stage_lock);
	while (!s) {
		for (int i = 0; i < CUDA_N_STAGES && !s; i++)
			s = c->stages[i].is_taken ? NULL : &c->stages[i];
		if (!s)
			pthread_cond_wait(&c->stage_free, &c->stage_lock);
	}
	s->is_taken = true;
	pthread_mutex_unlock(&c->stage_lock);
	cuda_ok(g, cudaEventSynchronize(s->done), "a transfer");
	return s;
}

void *cuda_stage_twin(struct gpu *g, struct cuda_stage *s)
{
	if (!s->twin && !cuda_ok(g, cudaMalloc(&s->twin, CUDA_STAGE_BYTES), "a transfer"))
		s->twin = NULL;
	return s->twin;
}

void cuda_stage_give(struct gpu *g, struct cuda_stage *s)
{
	struct cuda *c = cuda_of(g);

	cuda_ok(g, cudaEventRecord(s->done, c->stream), "a transfer");
	pthread_mutex_lock(&c->stage_lock);
	s->is_taken = false;
	pthread_cond_signal(&c->stage_free);
	pthread_mutex_unlock(&c->stage_lock);
}

void cuda_stage_send(struct gpu *g, struct cuda_stage *s, void *dst, size_t bytes)
{
	struct cuda *c = cuda_of(g);

	cuda_ok(g, cudaMemcpyAsync(dst, s->at, bytes, cudaMemcpyHostToDevice, c->stream),
		"a transfer");
}

void cuda_write(struct gpu *g, void *dst, const void *src, size_t bytes)
{
	for (size_t at = 0, n; at < bytes && !gpu_failed(g); at += n) {
		struct cuda_stage *s = cuda_stage_take(g);
		n = bytes - at < CUDA_STAGE_BYTES ? bytes - at : CUDA_STAGE_BYTES;
		memcpy(s->at, (const char *)src + at, n);
		cuda_stage_send(g, s, (char *)dst + at, n);
		cuda_stage_give(g, s);
	}
}

void cuda_read(struct gpu *g, void *dst, const void *src, size_t bytes)
{
	struct cuda *c = cuda_of(g);

	for (size_t at = 0, n; at < bytes && !gpu_failed(g); at += n) {
		struct cuda_stage *s = cuda_stage_take(g);
		n = bytes - at < CUDA_STAGE_BYTES ? bytes - at : CUDA_STAGE_BYTES;
		if (cuda_ok(g,
			    cudaMemcpyAsync(s->at, (const char *)src + at, n,
				    cudaMemcpyDeviceToHost, c->stream),
			    "a transfer") &&
			cuda_ok(g, cudaStreamSynchronize(c->stream), "a transfer"))
			memcpy((char *)dst + at, s->at, n);
		cuda_stage_give(g, s);
	}
	if (gpu_failed(g))
		memset(dst, 0, bytes);
}

struct reading {
	void *at; /* pinned; owned */
	cudaEvent_t done;
};

void cuda_reading_free(struct gpu *g, void *reading)
{
	struct reading *r = reading;

	if (r->done) {
		cudaEventSynchronize(r->done);
		cudaEventDestroy(r->done);
	}
	cudaFreeHost(r->at);
	free(r);
}

void *cuda_reading_new(struct gpu *g, size_t bytes, void **ret_host)
{
	struct reading *r = xcalloc(1, sizeof(*r));

	if (!pin(g, &r->at, bytes, 1) ||
		!cuda_ok(g, cudaEventCreateWithFlags(&r->done, cudaEventDisableTiming),
			"a transfer")) {
		cuda_reading_free(g, r);
		return NULL;
	}
	*ret_host = r->at;
	return r;
}

void cuda_reading_begin(struct gpu *g, void *reading, const void *src, size_t bytes)
{
	const struct reading *r = reading;
	struct cuda *c = cuda_of(g);

	if (cuda_ok(g, cudaMemcpyAsync(r->at, src, bytes, cudaMemcpyDeviceToHost, c->stream),
		    "a transfer"))
		cuda_ok(g, cudaEventRecord(r->done, c->stream), "a transfer");
}

bool cuda_reading_end(struct gpu *g, void *reading)
{
	const struct reading *r = reading;

	return cuda_ok(g, cudaEventSynchronize(r->done), "a transfer");
}

/* ---- recordings --------------------------------------------------------- */

struct recording {
	cudaGraphExec_t exec;
	uint64_t generation;
};

void cuda_record(struct gpu *g)
{
	struct cuda *c = cuda_of(g);

	c->is_recording = cuda_ok(g,
		cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal), "recording");
}

void *cuda_record_end(struct gpu *g)
{
	struct cuda *c = cuda_of(g);
	struct recording *r = NULL;
	cudaGraph_t graph = NULL;

	if (!c->is_recording)
		return NULL;
	c->is_recording = false;
	/* Ends the capture even after a failed op, which has been told. */
	const cudaError_t error = cudaStreamEndCapture(c->stream, &graph);
	if (gpu_failed(g)) {
		cudaGetLastError();
	} else if (cuda_ok(g, error, "recording")) {
		r = xcalloc(1, sizeof(*r));
		r->generation = c->generation;
		if (!cuda_ok(g, cudaGraphInstantiate(&r->exec, graph, 0), "recording")) {
			free(r);
			r = NULL;
		}
	}
	if (graph)
		cudaGraphDestroy(graph);
	if (r && !cuda_replay(g, r)) {
		cuda_forget(g, r);
		return NULL;
	}
	return r;
}

bool cuda_replay(struct gpu *g, void *recording)
{
	const struct recording *r = recording;
	struct cuda *c = cuda_of(g);

	return r->generation == c->generation &&
	       cuda_ok(g, cudaGraphLaunch(r->exec, c->stream), "a recorded step");
}

void cuda_forget(struct gpu *g, void *recording)
{
	struct recording *r = recording;

	cudaGraphExecDestroy(r->exec);
	free(r);
}

/* ---- opening ------------------------------------------------------------ */

#if defined(WOODSHED_EMULATED)
void cuda_guard(struct gpu *g, void *p, size_t bytes, bool open)
{
	emulation_guard(p, bytes, open);
}
#endif

void cuda_close(struct gpu *g)
{
	struct cuda *c = cuda_of(g);

	cudaStreamSynchronize(c->stream);
	for (int i = 0; i < CUDA_N_STAGES; i++) {
		if (c->stages[i].done)
			cudaEventDestroy(c->stages[i].done);
		cudaFreeHost(c->stages[i].at);
	}
	free_twins(c);
	for (int i = 0; i < CUDA_N_SCRATCH; i++)
		cudaFree(c->scratch[i].at);
	cudaFree(c->status);
	cudaFree(c->arrived);
	cudaFree(c->workspace);
	free(c->plans);
	if (c->blas)
		cublasDestroy(c->blas);
	if (c->stream)
		cudaStreamDestroy(c->stream);
	pthread_mutex_destroy(&c->stage_lock);
	pthread_cond_destroy(&c->stage_free);
	free(c);
}

/* In the words of somebody who has to mend it. */
static int no_device(cudaError_t error, int driver, struct err *e)
{
	if (!driver)
		return err_set(e, ERR_UNSUPPORTED,
			"no CUDA: there is no NVIDIA driver; install it, or use --device cpu");
	if (error == cudaErrorInsufficientDriver || driver < MIN_DRIVER)
		return err_set(e, ERR_UNSUPPORTED,
			"no CUDA: the NVIDIA driver is for CUDA %d.%d, but this woodshed needs one "
			"for %d.%d or newer; install it, or use --device cpu",
			driver / 1000, driver % 1000 / 10, MIN_DRIVER / 1000,
			MIN_DRIVER % 1000 / 10);
	if (error == cudaErrorNoDevice || error == cudaSuccess)
		return err_set(e, ERR_UNSUPPORTED,
			"no CUDA: the driver finds no GPU; check nvidia-smi and "
			"CUDA_VISIBLE_DEVICES, or use --device cpu");
	return err_set(e, ERR_UNSUPPORTED, "no CUDA: %s; check nvidia-smi, or use --device cpu",
		cudaGetErrorString(error));
}

static int find_device(struct cudaDeviceProp *ret, struct err *e)
{
	int driver = 0, n = 0;

	cudaDriverGetVersion(&driver);
	cudaError_t error = driver ? cudaGetDeviceCount(&n) : cudaErrorNoDevice;
	if (error != cudaSuccess || driver < MIN_DRIVER || n < 1)
		return no_device(error, driver, e);
	error = cudaGetDeviceProperties(ret, 0);
	if (error != cudaSuccess)
		return no_device(error, driver, e);
	if (ret->major * 10 + ret->minor < MIN_ARCH)
		return err_set(e, ERR_UNSUPPORTED,
			"no CUDA: %.60s has compute capability %d.%d, but 7.5 is needed (a GPU of "
			"2018 or newer); use --device cpu",
			ret->name, ret->major, ret->minor);
	return 0;
}

static int no_room(struct err *e)
{
	return err_set(e, ERR_NOMEM,
		"the GPU has no memory left to start on; end what uses it (nvidia-smi lists it), "
		"or use --device cpu");
}

static int cannot_open(cudaError_t error, struct err *e)
{
	return err_set(e, ERR_GPU,
		"the GPU cannot be opened: %s; check nvidia-smi, or use --device cpu",
		cudaGetErrorString(error));
}

/* Kernels are loaded when they are first asked for: one that has no code for this GPU would
 * be told by the first op, and by then it is too late for the CPU. */
static int find_kernels(const struct cudaDeviceProp *prop, struct err *e)
{
	const cudaError_t error = cuda_find_kernels();

	switch ((int)error) {
	case cudaSuccess:
		return 0;
	case cudaErrorMemoryAllocation:
		return no_room(e);
	case cudaErrorInvalidDeviceFunction:
	case cudaErrorNoKernelImageForDevice:
	case cudaErrorJitCompilerNotFound: /* of PTX, for a GPU that is newer than the build */
	case cudaErrorUnsupportedPtxVersion:
	case cudaErrorJitCompilationDisabled:
		return err_set(e, ERR_UNSUPPORTED,
			"no CUDA: woodshed-cuda.so was not built for %.60s, compute capability "
			"%d.%d (%s); build it with -Dgpu_arch=native, or use --device cpu",
			prop->name, prop->major, prop->minor, cudaGetErrorString(error));
	default:
		return cannot_open(error, e);
	}
}

/* The first call that makes a context: a busy GPU says so here.  The first GPU by name, or the
 * runtime would take the next, whose properties nobody has asked for. */
static int make_context(struct cuda *c, struct err *e)
{
	cudaError_t error = cudaSetDevice(0);

	if (error == cudaSuccess)
		error = cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking);
	switch ((int)error) {
	case cudaSuccess:
		return 0;
	case cudaErrorDevicesUnavailable:
		return err_set(e, ERR_BUSY,
			"the GPU is busy: another program has it for itself; wait until that ends "
			"(nvidia-smi lists it), or use --device cpu");
	case cudaErrorMemoryAllocation:
		return no_room(e);
	default:
		return cannot_open(error, e);
	}
}

static bool make_stage(struct gpu *g, struct cuda_stage *s)
{
	return pin(g, &s->at, CUDA_STAGE_BYTES, CUDA_N_STAGES) &&
	       cuda_ok(g, cudaEventCreateWithFlags(&s->done, cudaEventDisableTiming), "opening");
}

static bool make_parts(struct gpu *g)
{
	const size_t arrived = CUDA_N_ARRIVED * sizeof(unsigned);
	struct cuda *c = cuda_of(g);

	for (int i = 0; i < CUDA_N_STAGES; i++)
		if (!make_stage(g, &c->stages[i]))
			return false;
	if (!cuda_ok(g, cudaMalloc((void **)&c->status, sizeof(*c->status)), "opening") ||
		!clear_status(g, "opening") ||
		!cuda_ok(g, cudaMalloc((void **)&c->arrived, arrived), "opening") ||
		!cuda_ok(g, cudaMemsetAsync(c->arrived, 0, arrived, c->stream), "opening") ||
		!cuda_ok(g, cudaMalloc(&c->workspace, CUDA_WORKSPACE_BYTES), "opening"))
		return false;
	if (cublasCreate(&c->blas) == CUBLAS_STATUS_SUCCESS &&
		cublasSetStream(c->blas, c->stream) == CUBLAS_STATUS_SUCCESS &&
		/* Its own would be allocated, which a recording cannot do. */
		cublasSetWorkspace(c->blas, c->workspace, CUDA_WORKSPACE_BYTES) ==
			CUBLAS_STATUS_SUCCESS)
		return true;
	gpu_fail(
		g, ERR_GPU, "cuBLAS cannot be started; end what uses the GPU, or use --device cpu");
	return false;
}

static int cuda_open(struct gpu *g, struct err *e)
{
	struct cudaDeviceProp prop;
	struct cuda *c;
	char text[16];
	int driver = 0, rc = find_device(&prop, e);

	if (rc)
		return rc;
	c = xcalloc(1, sizeof(*c));
	pthread_mutex_init(&c->stage_lock, NULL);
	pthread_cond_init(&c->stage_free, NULL);
	cudaDriverGetVersion(&driver);
	c->arch = prop.major * 10 + prop.minor;
	c->can_start_early = c->arch >= 90 && driver >= RECORDS_EARLY;
	c->n_multiprocessors = (unsigned)prop.multiProcessorCount;
	c->block_shared = prop.sharedMemPerBlockOptin;
	c->multiprocessor_shared = prop.sharedMemPerMultiprocessor;
	g->ops = &cuda_ops;
	g->device = c;
	rc = make_context(c, e);
	cudaGetLastError(); /* of an earlier try */
	if (!rc)
		rc = find_kernels(&prop, e);
	if (!rc && !make_parts(g))
		rc = g->error.code == ERR_NOMEM ? no_room(e)
						: err_set(e, g->error.code, "%s", g->error.text);
	if (rc) {
		cuda_close(g);
		return rc;
	}
	snprintf(g->name, sizeof(g->name), "%.80s", prop.name);
	snprintf(g->description, sizeof(g->description),
		"%.80s, compute capability %d.%d, driver for CUDA %d.%d, %s", prop.name, prop.major,
		prop.minor, driver / 1000, driver % 1000 / 10,
		format_bytes(prop.totalGlobalMem, text));
	return 0;
}

__attribute__((visibility("default"))) extern const struct gpu_module gpu_cuda_module;
const struct gpu_module gpu_cuda_module = {
	.version = GPU_MODULE_VERSION,
	.ops_size = sizeof(struct gpu_ops),
#if defined(WOODSHED_EMULATED)
	.is_emulated = true,
#endif
	.open = cuda_open,
};
