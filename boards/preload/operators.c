/* SPDX-License-Identifier: MIT */
/*
 * The operators new and delete of C++, by their mangled names (Itanium C++ ABI, 64-bit size_t).
 *
 * 1. new is malloc; when that is NULL the program's new-handler is called, which makes room, throws
 * or ends the program, and malloc is tried again: as often as there is a handler.
 * 2. Without one std::bad_alloc is thrown, by a function of the C++ library. This library is not
 *    linked with one, as C programs are preloaded too: std::get_new_handler() and
 *    std::__throw_bad_alloc() are looked up when they are needed, that is when memory is out, in
 * what the program has loaded: libstdc++ or libc++. In neither: a panic.
 * 3. The exception passes through the functions here, which are compiled with unwind tables.
 * 4. delete is free, so its twelve forms are other names of bh_free() (mk/build.mk).
 * 5. A nothrow new calls the handler too. C cannot catch what a handler throws there; the
 *    exception goes on to the caller, where std::terminate() gets it.
 */
#define _GNU_SOURCE
#include "boards/preload/preload.h"
#include "kernel-lib/bits.h"
#include "kernel-lib/check.h"
#include <bareheap/alloc.h>
#include <dlfcn.h>

/* Declares and opens the definition of an exported function with a name that is not C. */
#define OPERATOR(mangled, result, name, ...)          \
    extern result name(__VA_ARGS__) __asm__(mangled); \
    PRELOAD_EXPORT result name(__VA_ARGS__)

/* std::new_handler points to one, std::get_new_handler() is the other. */
typedef void new_handler(void);
typedef new_handler *handler_getter(void);

/* --- Out of memory -------------------------------------------------------------------- */

/* A function of the C++ library, wherever that was loaded; NULL when it was not. */
static BH_COLD void *cxx_function(const char *mangled)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"};
    void *function = dlsym(RTLD_DEFAULT, mangled);
    for (size_t i = 0; !function && i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        function = library ? dlsym(library, mangled) : NULL;
    }
    return function;
}

/* Calls the program's new-handler; false when there is none. */
static BH_COLD bool call_new_handler(void)
{
    handler_getter *get = (handler_getter *)cxx_function("_ZSt15get_new_handlerv");
    new_handler *handler = get ? get() : NULL;
    if (handler)
        handler();
    return handler;
}

static BH_COLD _Noreturn void throw_bad_alloc(size_t bytes)
{
    void (*throw_it)(void) = (void (*)(void))cxx_function("_ZSt17__throw_bad_allocv");
    if (throw_it)
        throw_it();
    bh_panic("operator new(%zu): out of memory, and no C++ library to throw std::bad_alloc", bytes);
}

static void *allocate(size_t bytes, size_t align)
{
    return align <= BH_MIN_ALIGN ? bh_malloc(bytes) : bh_aligned_alloc(align, bytes);
}

/* The first try has failed. NULL when there is no handler any more. */
static BH_COLD void *new_nothrow_slow(size_t bytes, size_t align)
{
    void *object = NULL;
    while (!object && call_new_handler())
        object = allocate(bytes, align);
    return object;
}

static BH_COLD void *new_slow(size_t bytes, size_t align)
{
    void *object = new_nothrow_slow(bytes, align);
    if (!object)
        throw_bad_alloc(bytes);
    return object;
}

/* --- new ------------------------------------------------------------------------------ */

static inline void *new_object(size_t bytes)
{
    void *object = bh_malloc(bytes);
    return BH_LIKELY(object) ? object : new_slow(bytes, 1);
}

static inline void *new_nothrow(size_t bytes)
{
    void *object = bh_malloc(bytes);
    return BH_LIKELY(object) ? object : new_nothrow_slow(bytes, 1);
}

static void *new_aligned(size_t bytes, size_t align)
{
    void *object = allocate(bytes, align);
    return BH_LIKELY(object) ? object : new_slow(bytes, align);
}

static void *new_aligned_nothrow(size_t bytes, size_t align)
{
    void *object = allocate(bytes, align);
    return BH_LIKELY(object) ? object : new_nothrow_slow(bytes, align);
}

OPERATOR("_Znwm", void *, operator_new, size_t bytes)
{
    return new_object(bytes);
}

OPERATOR("_Znam", void *, operator_new_array, size_t bytes)
{
    return new_object(bytes);
}

OPERATOR("_ZnwmRKSt9nothrow_t", void *, operator_new_nothrow, size_t bytes, const void *nothrow)
{
    (void)nothrow;
    return new_nothrow(bytes);
}

OPERATOR("_ZnamRKSt9nothrow_t", void *, operator_new_array_nothrow, size_t bytes,
         const void *nothrow)
{
    (void)nothrow;
    return new_nothrow(bytes);
}

OPERATOR("_ZnwmSt11align_val_t", void *, operator_new_aligned, size_t bytes, size_t align)
{
    return new_aligned(bytes, align);
}

OPERATOR("_ZnamSt11align_val_t", void *, operator_new_array_aligned, size_t bytes, size_t align)
{
    return new_aligned(bytes, align);
}

OPERATOR("_ZnwmSt11align_val_tRKSt9nothrow_t", void *, operator_new_aligned_nothrow, size_t bytes,
         size_t align, const void *nothrow)
{
    (void)nothrow;
    return new_aligned_nothrow(bytes, align);
}

OPERATOR("_ZnamSt11align_val_tRKSt9nothrow_t", void *, operator_new_array_aligned_nothrow,
         size_t bytes, size_t align, const void *nothrow)
{
    (void)nothrow;
    return new_aligned_nothrow(bytes, align);
}
