/* The runtime's calls: streams, events, recordings, and what runs when.
 *
 * What is asked of streams is kept in one queue and runs, in order, when somebody waits:
 * so a host that reads or overwrites too early gets wrong bytes.  A recording is such a
 * queue that is kept.  The null stream has a queue of its own, which runs when somebody
 * waits for it or for the device: streams of cudaStreamNonBlocking do not. */
#include "tests/emulation/emulator.hpp"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct queue {
	struct operation *first, **end;
	size_t n;
};
struct emulated_graph {
	struct queue ops;
};
struct emulated_graph_exec {
	struct queue ops;
};
struct emulated_stream {
	struct emulated_graph *recording; /* NULL: none */
	pthread_t recorder;               /* the thread that began it */
	bool is_invalid;                  /* something came in between that may not */
};
struct emulated_event {
	uint64_t asked, done; /* records */
};

enum { MAX_QUEUED = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue queue = {NULL, &queue.first, 0};
static struct queue null_queue = {NULL, &null_queue.first, 0};
static struct emulated_stream *recording_stream; /* one at a time is enough here */
static __thread cudaError_t last_error;
static bool has_context;

void emulator_lock(void)
{
	pthread_mutex_lock(&lock);
}

cudaError_t emulator_unlock(cudaError_t error)
{
	if (error != cudaSuccess)
		last_error = error;
	pthread_mutex_unlock(&lock);
	return error;
}

/* ---- operations --------------------------------------------------------- */

static void append(struct queue *q, const struct operation *op)
{
	struct operation *copy = (struct operation *)malloc(op->bytes);

	if (!copy)
		abort();
	memcpy(copy, op, op->bytes);
	copy->next = NULL;
	if (!q->first)
		q->end = &q->first;
	*q->end = copy;
	q->end = &copy->next;
	q->n++;
}

static void clear(struct queue *q)
{
	while (q->first) {
		struct operation *op = q->first;
		q->first = op->next;
		free(op);
	}
	q->n = 0;
}

static void run_first(struct queue *q)
{
	struct operation *op = q->first;

	q->first = op->next;
	q->n--;
	if (emulator_device()->broken == cudaSuccess)
		op->run(op);
	free(op);
}

/* Until `event` is done, or, without, until nothing is left. */
static cudaError_t run_queue(const struct emulated_event *event)
{
	while (queue.first && (!event || event->done < event->asked))
		run_first(&queue);
	return emulator_device()->broken;
}

static cudaError_t run_null_queue(void)
{
	while (null_queue.first)
		run_first(&null_queue);
	return emulator_device()->broken;
}

static cudaError_t run_device(void)
{
	run_queue(NULL);
	return run_null_queue();
}

/* What the calling thread records, or NULL. */
static struct emulated_stream *recording_here(void)
{
	struct emulated_stream *s = recording_stream;

	return s && pthread_equal(s->recorder, pthread_self()) ? s : NULL;
}

bool emulator_is_recording(cudaStream_t stream)
{
	return stream && stream->recording;
}

cudaError_t emulator_submit(cudaStream_t stream, const struct operation *op)
{
	struct emulated_stream *here = recording_here();

	/* A guard has no stream; it goes where its thread's ops go. */
	if ((stream && stream->recording) || (!stream && here)) {
		append(&(stream ? stream : here)->recording->ops, op);
		return cudaSuccess;
	}
	if (emulator_device()->broken != cudaSuccess)
		return emulator_device()->broken;
	append(&queue, op);
	return emulator_device()->is_eager || queue.n > MAX_QUEUED ? run_queue(NULL) : cudaSuccess;
}

/* Begins a call that makes a context if there is none, and locks. */
static cudaError_t enter(void)
{
	const struct emulator_device *d = emulator_device();

	emulator_lock();
	if (d->broken != cudaSuccess)
		return d->broken;
	if (has_context)
		return cudaSuccess;
	if (d->driver < 12000)
		return cudaErrorInsufficientDriver;
	if (d->n < 1)
		return cudaErrorNoDevice;
	if (d->opening == cudaSuccess)
		has_context = true;
	return d->opening;
}

/* The same for calls that a recording forbids: it is then no good. */
static cudaError_t enter_alone(void)
{
	const cudaError_t error = enter();
	struct emulated_stream *here = recording_here();

	if (!here || error != cudaSuccess)
		return error;
	here->is_invalid = true;
	return cudaErrorStreamCaptureUnsupported;
}

/* ---- errors ------------------------------------------------------------- */

cudaError_t cudaPeekAtLastError(void)
{
	const cudaError_t broken = emulator_device()->broken;

	return broken != cudaSuccess ? broken : last_error;
}

cudaError_t cudaGetLastError(void)
{
	const cudaError_t error = cudaPeekAtLastError();

	last_error = cudaSuccess;
	return error;
}

static const struct {
	cudaError_t error;
	const char *name, *text;
} errors[] = {
#define ERROR(name, text)                                                                          \
	{                                                                                          \
		name, #name, text                                                                  \
	}
	ERROR(cudaSuccess, "no error"),
	ERROR(cudaErrorInvalidValue, "invalid argument"),
	ERROR(cudaErrorMemoryAllocation, "out of memory"),
	ERROR(cudaErrorInitializationError, "initialization error"),
	ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
	ERROR(cudaErrorInvalidDevicePointer, "invalid device pointer"),
	ERROR(cudaErrorInsufficientDriver,
		"CUDA driver version is insufficient for CUDA runtime version"),
	ERROR(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable"),
	ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
	ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
	ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
	ERROR(cudaErrorNoKernelImageForDevice,
		"no kernel image is available for execution on the device"),
	ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
	ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
	ERROR(cudaErrorNotReady, "device not ready"),
	ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
	ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
	ERROR(cudaErrorNotSupported, "operation not supported"),
	ERROR(cudaErrorStreamCaptureUnsupported,
		"operation not permitted when stream is capturing"),
	ERROR(cudaErrorStreamCaptureInvalidated,
		"operation failed due to a previous error during capture"),
	ERROR(cudaErrorStreamCaptureUnmatched, "capture was not initiated in this stream"),
	ERROR(cudaErrorUnknown, "unknown error"),
#undef ERROR
};

const char *cudaGetErrorString(cudaError_t error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (errors[i].error == error)
			return errors[i].text;
	return "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (errors[i].error == error)
			return errors[i].name;
	return "unrecognized error code";
}

/* ---- memory ------------------------------------------------------------- */

static struct pinned {
	struct pinned *next;
	char *at;
	size_t bytes;
} * pinned;

bool emulator_is_pinned(const void *p)
{
	for (const struct pinned *m = pinned; m; m = m->next)
		if ((const char *)p >= m->at && (const char *)p < m->at + m->bytes)
			return true;
	return false;
}

cudaError_t cudaMalloc(void **ret, size_t bytes)
{
	cudaError_t error = enter_alone();

	*ret = NULL;
	if (error == cudaSuccess)
		error = emulator_alloc(ret, bytes);
	return emulator_unlock(error);
}

/* It may wait for what uses the memory: this one does not. */
cudaError_t cudaFree(void *p)
{
	cudaError_t error = enter_alone();

	if (error == cudaSuccess)
		error = emulator_free(p);
	return emulator_unlock(error);
}

cudaError_t cudaMallocHost(void **ret, size_t bytes)
{
	cudaError_t error = enter_alone();

	*ret = NULL;
	if (error == cudaSuccess && emulator_device()->has_no_pinned)
		error = cudaErrorMemoryAllocation;
	if (error != cudaSuccess)
		return emulator_unlock(error);
	struct pinned *m = (struct pinned *)malloc(sizeof(*m));
	if (!m || posix_memalign((void **)&m->at, 4096, bytes ? bytes : 1))
		abort();
	m->bytes = bytes;
	m->next = pinned;
	pinned = m;
	*ret = m->at;
	return emulator_unlock(cudaSuccess);
}

cudaError_t cudaFreeHost(void *p)
{
	struct pinned **link = &pinned;
	cudaError_t error = enter_alone();

	if (error == cudaSuccess)
		error = run_device();
	while (*link && (*link)->at != p)
		link = &(*link)->next;
	if (!*link)
		return emulator_unlock(p ? cudaErrorInvalidValue : error);
	struct pinned *m = *link;
	*link = m->next;
	free(m->at);
	free(m);
	return emulator_unlock(error);
}

cudaError_t cudaMemGetInfo(size_t *ret_free, size_t *ret_total)
{
	const struct emulator_device *d = emulator_device();
	const cudaError_t error = enter();

	*ret_total = d->memory;
	*ret_free = d->memory - d->counts.bytes;
	return emulator_unlock(error);
}

/* ---- copies and fills --------------------------------------------------- */

struct copy {
	struct operation op;
	void *dst;
	const void *src; /* NULL: the bytes follow */
	size_t dst_pitch, src_pitch, width, height;
};

static void check_open(const void *p, size_t bytes, const char *what)
{
	char text[EMULATOR_TEXT];

	if (!bytes || !emulator_is_device(p))
		return;
	const void *closed = emulator_first_closed(p, bytes);
	if (!closed)
		return;
	emulator_describe_device(closed, text);
	emulator_report_launch(what, "out of bounds: %zu bytes, at %s", bytes, text);
}

static void run_copy(struct operation *op)
{
	struct copy *c = (struct copy *)op;
	char *dst = (char *)c->dst;
	const char *src = c->src ? (const char *)c->src : (const char *)(c + 1);

	for (size_t i = 0; i < c->height; i++, dst += c->dst_pitch, src += c->src_pitch) {
		check_open(dst, c->width, "a copy");
		check_open(src, c->width, "a copy");
		memmove(dst, src, c->width);
	}
}

/* The range is of the kind that the direction says. */
static bool is_valid(const void *p, size_t bytes, bool on_device)
{
	return emulator_is_device(p) == on_device &&
	       (!on_device || !bytes || emulator_is_allocated(p, bytes));
}

static cudaError_t check_copy(const struct copy *c, enum cudaMemcpyKind kind)
{
	const bool to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
	const bool from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;

	if (!c->width || !c->height)
		return cudaSuccess;
	if (kind < 0 || kind > cudaMemcpyDefault || c->dst_pitch < c->width ||
		c->src_pitch < c->width)
		return cudaErrorInvalidValue;
	if (kind != cudaMemcpyDefault &&
		(!is_valid(c->dst, (c->height - 1) * c->dst_pitch + c->width, to) ||
			!is_valid(c->src, (c->height - 1) * c->src_pitch + c->width, from)))
		return cudaErrorInvalidValue;
	return cudaSuccess;
}

/* From memory that is not pinned the bytes are taken at once; to such memory the call
 * waits. */
static cudaError_t submit_copy(const struct copy *c, cudaStream_t stream)
{
	const bool from_heap = !emulator_is_device(c->src) && !emulator_is_pinned(c->src);
	const bool to_heap = !emulator_is_device(c->dst) && !emulator_is_pinned(c->dst);
	cudaError_t error;

	if (from_heap && !(stream && stream->recording) && c->height == 1) {
		struct copy *with = (struct copy *)malloc(sizeof(*c) + c->width);
		if (!with)
			return cudaErrorMemoryAllocation;
		*with = *c;
		with->op.bytes += c->width;
		with->src = NULL;
		memcpy(with + 1, c->src, c->width);
		error = emulator_submit(stream, &with->op);
		free(with);
		return error;
	}
	error = emulator_submit(stream, &c->op);
	return error == cudaSuccess && to_heap && !(stream && stream->recording) ? run_queue(NULL)
										 : error;
}

cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
	size_t width, size_t height, enum cudaMemcpyKind kind, cudaStream_t stream)
{
	const struct copy c = {
		{NULL, sizeof(c), run_copy}, dst, src, dst_pitch, src_pitch, width, height};
	cudaError_t error = enter();

	if (error == cudaSuccess)
		error = check_copy(&c, kind);
	if (error == cudaSuccess && width && height)
		error = submit_copy(&c, stream);
	return emulator_unlock(error);
}

cudaError_t cudaMemcpyAsync(
	void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
	return cudaMemcpy2DAsync(dst, bytes, src, bytes, bytes, 1, kind, stream);
}

/* On the null stream, as cudaMemset(), for which nobody waits. */
cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
	struct copy c = {{NULL, sizeof(c), run_copy}, dst, src, bytes, bytes, bytes, 1};
	cudaError_t error = enter_alone();

	if (error == cudaSuccess)
		error = check_copy(&c, kind);
	if (error == cudaSuccess)
		error = run_null_queue();
	if (error == cudaSuccess && bytes)
		run_copy(&c.op);
	return emulator_unlock(error);
}

struct set {
	struct operation op;
	void *p;
	int value;
	size_t bytes;
};

static void run_set(struct operation *op)
{
	const struct set *s = (const struct set *)op;

	check_open(s->p, s->bytes, "a fill");
	memset(s->p, s->value, s->bytes);
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
	const struct set s = {{NULL, sizeof(s), run_set}, p, value, bytes};
	cudaError_t error = enter();

	if (error == cudaSuccess && bytes)
		error = is_valid(p, bytes, true) ? emulator_submit(stream, &s.op)
						 : cudaErrorInvalidValue;
	return emulator_unlock(error);
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
	const struct set s = {{NULL, sizeof(s), run_set}, p, value, bytes};
	cudaError_t error = enter_alone();

	if (error == cudaSuccess && bytes && !is_valid(p, bytes, true))
		error = cudaErrorInvalidValue;
	if (error == cudaSuccess && bytes)
		append(&null_queue, &s.op);
	return emulator_unlock(error);
}

/* ---- streams and events ------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *ret, unsigned int flags)
{
	const cudaError_t error = enter_alone();

	*ret = NULL;
	if (error == cudaSuccess)
		*ret = (cudaStream_t)calloc(1, sizeof(**ret));
	return emulator_unlock(error);
}

cudaError_t cudaStreamCreate(cudaStream_t *ret)
{
	return cudaStreamCreateWithFlags(ret, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
	emulator_lock();
	const cudaError_t error = run_queue(NULL);
	if (stream == recording_stream)
		recording_stream = NULL;
	if (stream && stream->recording) {
		clear(&stream->recording->ops);
		free(stream->recording);
	}
	free(stream);
	return emulator_unlock(error);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
	const cudaError_t error = enter_alone();

	if (error != cudaSuccess)
		return emulator_unlock(error);
	return emulator_unlock(stream ? run_queue(NULL) : run_device());
}

cudaError_t cudaDeviceSynchronize(void)
{
	return cudaStreamSynchronize(NULL);
}

/* There is but one queue. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags)
{
	return emulator_unlock(enter());
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *ret, unsigned int flags)
{
	const cudaError_t error = enter();

	*ret = NULL;
	if (error == cudaSuccess)
		*ret = (cudaEvent_t)calloc(1, sizeof(**ret));
	return emulator_unlock(error);
}

cudaError_t cudaEventCreate(cudaEvent_t *ret)
{
	return cudaEventCreateWithFlags(ret, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
	emulator_lock();
	const cudaError_t error = run_queue(NULL);
	free(event);
	return emulator_unlock(error);
}

struct record {
	struct operation op;
	cudaEvent_t event;
	uint64_t number;
};

static void run_record(struct operation *op)
{
	const struct record *r = (const struct record *)op;

	r->event->done = r->number;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
	cudaError_t error = enter();

	if (error != cudaSuccess)
		return emulator_unlock(error);
	if (!event || (stream && stream->recording))
		return emulator_unlock(event ? cudaSuccess : cudaErrorInvalidResourceHandle);
	const struct record r = {{NULL, sizeof(r), run_record}, event, ++event->asked};
	return emulator_unlock(emulator_submit(stream, &r.op));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
	cudaError_t error = enter_alone();

	if (error == cudaSuccess)
		error = event ? run_queue(event) : cudaErrorInvalidResourceHandle;
	return emulator_unlock(error);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
	cudaError_t error = enter_alone();

	if (error == cudaSuccess)
		error = event->done < event->asked ? cudaErrorNotReady : cudaSuccess;
	return emulator_unlock(error);
}

cudaError_t cudaEventElapsedTime(float *ret_ms, cudaEvent_t start, cudaEvent_t end)
{
	*ret_ms = 0;
	return emulator_unlock(enter());
}

/* ---- recordings --------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
	cudaError_t error = enter();

	if (error == cudaSuccess && (!stream || recording_stream))
		error = cudaErrorStreamCaptureUnsupported;
	if (error != cudaSuccess)
		return emulator_unlock(error);
	stream->recording = (struct emulated_graph *)calloc(1, sizeof(*stream->recording));
	stream->recorder = pthread_self();
	stream->is_invalid = false;
	recording_stream = stream;
	return emulator_unlock(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *ret)
{
	cudaError_t error = enter();

	*ret = NULL;
	if (!stream || !stream->recording)
		return emulator_unlock(
			error == cudaSuccess ? cudaErrorStreamCaptureUnmatched : error);
	if (error == cudaSuccess && stream->is_invalid)
		error = cudaErrorStreamCaptureInvalidated;
	if (error == cudaSuccess)
		*ret = stream->recording;
	else
		clear(&stream->recording->ops), free(stream->recording);
	stream->recording = NULL;
	recording_stream = NULL;
	return emulator_unlock(error);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *ret, cudaGraph_t graph, unsigned long long flags)
{
	const cudaError_t error = enter();

	*ret = NULL;
	if (error != cudaSuccess)
		return emulator_unlock(error);
	*ret = (cudaGraphExec_t)calloc(1, sizeof(**ret));
	for (const struct operation *op = graph->ops.first; op; op = op->next)
		append(&(*ret)->ops, op);
	return emulator_unlock(cudaSuccess);
}

struct replay {
	struct operation op;
	cudaGraphExec_t exec;
};

static void run_replay(struct operation *op)
{
	emulator_device()->counts.graph_launches++;
	for (struct operation *o = ((struct replay *)op)->exec->ops.first; o; o = o->next)
		if (emulator_device()->broken == cudaSuccess)
			o->run(o);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
	const struct replay r = {{NULL, sizeof(r), run_replay}, exec};
	const cudaError_t error = enter();

	return emulator_unlock(error == cudaSuccess ? emulator_submit(stream, &r.op) : error);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
	emulator_lock();
	clear(&graph->ops);
	free(graph);
	return emulator_unlock(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	emulator_lock();
	const cudaError_t error = run_queue(NULL);
	clear(&exec->ops);
	free(exec);
	return emulator_unlock(error);
}

/* ---- kernels ------------------------------------------------------------ */

struct launch {
	struct operation op;
	struct emulation_kernel kernel;
	alignas(16) char args[];
};

static void run_launch(struct operation *op)
{
	struct launch *l = (struct launch *)op;
	struct emulator_device *d = emulator_device();

	if (++d->counts.launches == d->fault_at)
		d->broken = d->fault;
	else
		emulator_run_kernel(&l->kernel, l->args);
}

/* Kernels that may have more than 48 KiB. */
static struct allowed {
	const void *kernel;
	size_t shared;
} allowed[256];
static size_t n_allowed;

static struct allowed *find_allowed(const void *kernel)
{
	for (size_t i = 0; i < n_allowed; i++)
		if (allowed[i].kernel == kernel)
			return &allowed[i];
	return NULL;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute what, int value)
{
	const cudaError_t error = enter();

	if (error != cudaSuccess || what != cudaFuncAttributeMaxDynamicSharedMemorySize)
		return emulator_unlock(error);
	if (value < 0 || (size_t)value > emulator_device()->max_shared)
		return emulator_unlock(cudaErrorInvalidValue);
	struct allowed *a = find_allowed(kernel);
	if (!a && n_allowed == sizeof(allowed) / sizeof(*allowed))
		abort();
	if (!a)
		a = &allowed[n_allowed++];
	*a = {kernel, (size_t)value};
	return emulator_unlock(cudaSuccess);
}

size_t emulator_shared_limit(const void *kernel)
{
	return find_allowed(kernel) ? emulator_device()->max_shared : SHARED_PLAIN;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *ret, const void *kernel)
{
	const struct emulator_device *d = emulator_device();
	const cudaError_t error = enter();

	*ret = {};
	ret->maxThreadsPerBlock = MAX_THREADS;
	ret->binaryVersion = d->arch;
	return emulator_unlock(error != cudaSuccess ? error
			       : d->has_no_image    ? cudaErrorNoKernelImageForDevice
						    : cudaSuccess);
}

/* What a device refuses. */
static void check_launch(const struct emulation_kernel *k)
{
	const struct allowed *a = find_allowed(k->function);
	const size_t shared = a ? a->shared : SHARED_PLAIN;
	const dim3 g = k->grid, b = k->block;

	if (!g.x || !g.y || !g.z || g.x > INT32_MAX || g.y > 65535 || g.z > 65535)
		emulator_report_launch(k->name,
			"a grid of (%u,%u,%u) blocks: from (1,1,1) to (2147483647,65535,65535) can "
			"be",
			g.x, g.y, g.z);
	if (!b.x || !b.y || !b.z || b.z > 64 || (uint64_t)b.x * b.y * b.z > MAX_THREADS)
		emulator_report_launch(
			k->name, "a block of (%u,%u,%u) threads: 1 to 1024 can be", b.x, b.y, b.z);
	if (k->shared > shared)
		emulator_report_launch(k->name,
			"%zu bytes of shared memory asked for: %zu are allowed%s", k->shared,
			shared, a ? "" : " without cudaFuncSetAttribute()");
}

cudaError_t emulation_launch(
	cudaStream_t stream, const struct emulation_kernel *kernel, const void *args)
{
	const size_t bytes = sizeof(struct launch) + kernel->args_bytes;
	cudaError_t error = enter();

	if (error == cudaSuccess && emulator_device()->has_no_image)
		error = cudaErrorNoKernelImageForDevice;
	if (error != cudaSuccess)
		return emulator_unlock(error);
	check_launch(kernel);
	struct launch *l = (struct launch *)calloc(1, bytes);
	if (!l)
		abort();
	l->op.bytes = bytes;
	l->op.run = run_launch;
	l->kernel = *kernel;
	memcpy(l->args, args, kernel->args_bytes);
	error = emulator_submit(stream, &l->op);
	free(l);
	return emulator_unlock(error);
}
