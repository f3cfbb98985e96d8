/* noise_file.h: random draws from a file, for --noise. */
#ifndef WOODSHED_ENGINE_CLI_NOISE_FILE_H
#define WOODSHED_ENGINE_CLI_NOISE_FILE_H

#include "engine/engine.h"

struct err;

/* A safetensors file with the tensor `latents` [channels, ..] and, for samplers that
 * add noise, `steps` [steps, channels, ..].  The arrays in *ret are freed by
 * noise_file_done(), which takes a zeroed *ret, too. */
int noise_file_read(const char *path, struct engine_noise *ret, struct err *e);
void noise_file_done(struct engine_noise *n);

#endif
