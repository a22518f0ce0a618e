/* SPDX-License-Identifier: MIT */
/* What libFuzzer calls for each byte string. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_script script = {data, data + bytes};
    machine_reset();
    fuzz_run(&script);
    return 0;
}
