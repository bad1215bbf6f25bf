// How many ways through the program have been gone so far. g++ calls __sanitizer_cov_trace_pc at every branch of what
// is compiled with -fsanitize-coverage=trace-pc; the file that counts is compiled without.
#ifndef COUNTERSIGN_FUZZ_COVERAGE_H
#define COUNTERSIGN_FUZZ_COVERAGE_H

#include <cstddef>

namespace coverage {

// Begin to note one input's way.
void begin();

// Whether it went where none before it has: another branch, or the same one many more times.
bool is_new();

// Branches that any input has taken.
std::size_t branches();

}  // namespace coverage

#endif
