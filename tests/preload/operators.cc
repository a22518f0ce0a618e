/* SPDX-License-Identifier: MIT */
/*
 * The operators of C++: each form of new with its delete, bad_alloc and the new-handler, containers
 * in threads, exceptions, which allocate too.
 */
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::atomic<unsigned> failures;

#define EXPECT(cond) expect((cond), #cond, __LINE__)

static void expect(bool good, const char *text, int line)
{
    if (good)
        return;
    std::fprintf(stderr, "operators.cc:%d: not so: %s\n", line, text);
    failures++;
}

struct alignas(128) wide {
    char bytes[300];
};

static volatile std::size_t huge = static_cast<std::size_t>(PTRDIFF_MAX) - 100;

template <typename T> static bool is_aligned(T *object, std::size_t align)
{
    return reinterpret_cast<std::uintptr_t>(object) % align == 0;
}

static void test_forms()
{
    for (int i = 0; i < 1000; i++) {
        int *one = new int(i);
        int *many = new int[static_cast<std::size_t>(i)];
        wide *aligned = new wide;
        wide *aligned_many = new wide[3];
        std::string *quiet = new (std::nothrow) std::string(100, 'x');
        wide *quiet_aligned = new (std::nothrow) wide;
        EXPECT(*one == i && is_aligned(one, 16) && is_aligned(many, 16));
        EXPECT(is_aligned(aligned, 128) && is_aligned(aligned_many, 128) && is_aligned(quiet_aligned, 128));
        EXPECT(quiet->size() == 100);
        delete one;
        delete[] many;
        delete aligned;
        delete[] aligned_many;
        delete quiet;
        delete quiet_aligned;
    }
    ::operator delete(::operator new(64), std::nothrow);
    ::operator delete(::operator new(64, std::align_val_t(64)), std::align_val_t(64), std::nothrow);
    ::operator delete(nullptr);
}

template <typename F> static bool throws_bad_alloc(F function)
{
    try {
        function();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void test_failures()
{
    EXPECT(throws_bad_alloc([] { ::operator delete(::operator new(huge)); }));
    EXPECT(throws_bad_alloc([] { ::operator delete[](::operator new[](huge)); }));
    EXPECT(throws_bad_alloc([] { ::operator delete(::operator new(huge, std::align_val_t(64)), std::align_val_t(64)); }));
    EXPECT(::operator new(huge, std::nothrow) == nullptr);
    EXPECT(::operator new(huge, std::align_val_t(4096), std::nothrow) == nullptr);
}

static int handler_calls;

static void give_up_the_third_time()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

struct no_more {};

static void test_handler()
{
    std::set_new_handler(give_up_the_third_time);
    EXPECT(throws_bad_alloc([] { ::operator delete(::operator new(huge)); }));
    EXPECT(handler_calls == 3);
    std::set_new_handler([] { throw no_more(); });
    bool thrown = false;
    try {
        ::operator delete(::operator new(huge));
    } catch (const no_more &) {
        thrown = true;
    }
    EXPECT(thrown);
    std::set_new_handler(nullptr);
}

static void use_containers(unsigned seed)
{
    std::map<std::string, std::vector<std::shared_ptr<std::string>>> index;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        std::string key = std::to_string(seed >> 20);
        index[key].push_back(std::make_shared<std::string>(seed >> 24, 'y'));
        if (index[key].size() > 4)
            index.erase(key);
    }
    std::size_t bytes = 0;
    for (auto &[key, values] : index)
        for (auto &value : values)
            bytes += value->size() + key.size();
    EXPECT(bytes > 0);
    try {
        throw std::runtime_error("exceptions allocate");
    } catch (const std::exception &error) {
        EXPECT(std::string(error.what()) == "exceptions allocate");
    }
}

/* Destroyed when its thread ends. */
static thread_local std::vector<std::string> leftovers;

int main()
{
    test_forms();
    test_failures();
    test_handler();
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 6; t++)
        threads.emplace_back([t] {
            leftovers.assign(100, std::string(200, 'z'));
            use_containers(t);
        });
    for (auto &thread : threads)
        thread.join();
    if (failures)
        return 1;
    std::puts("ok");
    return 0;
}
