// MQL5's own language for g++: arrays, texts, numbers and writing to the Experts tab.
//
// Only what is used is here; anything else does not compile until somebody looks up what MQL5 makes of it. What needs
// a terminal around it (files, the network, trading) is in terminal.h.
#ifndef COUNTERSIGN_PROOF_MQL_H
#define COUNTERSIGN_PROOF_MQL_H

#include <cstdio>

#include "language/arrays.h"
#include "language/numbers.h"
#include "language/texts.h"

namespace proof {

// What a terminal writes to its Experts tab goes to standard output, a line each; a runner may want it otherwise.
inline void write_plainly(const char *, const std::string &text) { std::printf("%s\n", text.c_str()); }

typedef void (*Writer)(const char *kind, const std::string &text);
inline Writer &writer() {
    static Writer chosen = write_plainly;
    return chosen;
}

}  // namespace proof

inline void Print(const string &text) { proof::writer()("print", proof::utf8(text)); }

#endif
