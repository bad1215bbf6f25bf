#include "coverage.h"

#include <cstdint>
#include <cstring>

namespace {

const std::size_t PLACES = 1 << 16;
std::uint8_t now[PLACES];
std::uint8_t before[PLACES];
bool is_noting = false;

// Once, twice, up to 3, 7, 15, 31, 127 times, more often: one bit each.
std::uint8_t how_often(std::uint8_t count) {
    static const std::uint8_t most[] = {1, 2, 3, 7, 15, 31, 127, 255};
    for (int i = 0; i < 8; i++)
        if (count <= most[i]) return static_cast<std::uint8_t>(1 << i);
    return 0;
}

}  // namespace

extern "C" void __sanitizer_cov_trace_pc() {
    if (!is_noting) return;
    // Counted from a place in the same program: wherever it is loaded, the same texts go the same ways.
    const std::uintptr_t place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0))
        - reinterpret_cast<std::uintptr_t>(&how_often);
    std::uint8_t &count = now[(place ^ (place >> 16)) & (PLACES - 1)];
    if (count < 255) count++;
}

namespace coverage {

void begin() {
    std::memset(now, 0, sizeof now);
    is_noting = true;
}

bool is_new() {
    is_noting = false;
    bool found = false;
    for (std::size_t i = 0; i < PLACES; i++) {
        if (now[i] == 0) continue;
        const std::uint8_t bit = how_often(now[i]);
        if (before[i] & bit) continue;
        before[i] = static_cast<std::uint8_t>(before[i] | bit);
        found = true;
    }
    return found;
}

std::size_t branches() {
    std::size_t count = 0;
    for (const std::uint8_t seen : before) count += seen != 0;
    return count;
}

}  // namespace coverage
