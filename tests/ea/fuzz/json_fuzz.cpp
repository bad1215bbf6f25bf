// Reads ever new texts as JSON and tells of each what it made of it: the text, and what is in it or "refused", in hex.
//
// Texts that go a way nobody has gone before are kept and changed further. What the sanitizers find ends the program;
// what a text means is judged by whoever reads the answers.
#include <cstdio>
#include <cstdlib>

#include "coverage.h"
#include "mutation.h"
#include "walk.h"

namespace {

std::string hex_of(const std::string &bytes) {
    static const char digits[] = "0123456789abcdef";
    std::string text;
    for (const char byte : bytes) {
        text += digits[(static_cast<unsigned char>(byte)) >> 4];
        text += digits[static_cast<unsigned char>(byte) & 15];
    }
    return text.empty() ? "-" : text;
}

std::string bytes_of(const Arr<uchar> &array) {
    std::string bytes;
    for (long i = 0; i < array.size(); i++) bytes += static_cast<char>(array[i]);
    return bytes;
}

// What is in a text, written anew; reading that again has to give the same once more.
bool read(CsJson &doc, const std::string &text, std::string &rewritten) {
    Arr<uchar> bytes, again;
    ArrayResize(bytes, static_cast<int>(text.size()));
    for (long i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uchar>(text[static_cast<std::size_t>(i)]);
    if (!CsJsonRead(doc, bytes)) return false;
    CsUtf8(walk::rewritten(doc, 0), again);
    rewritten = bytes_of(again);
    return true;
}

void require_same(CsJson &doc, const std::string &text) {
    std::string again;
    if (!read(doc, text, again) || again != text) {
        std::printf("CHANGED %s\n", hex_of(text).c_str());
        std::abort();
    }
}

}  // namespace

int main(int, char **arguments) {
    const unsigned long count = std::strtoul(arguments[1], nullptr, 10), seed = std::strtoul(arguments[2], nullptr, 10);
    mutation::Mutator mutator(seed);
    mutation::Corpus corpus = mutation::seeds();
    CsJson doc;
    for (unsigned long i = 0; i < count; i++) {
        const std::string text = i < corpus.size() ? corpus[i] : mutator.mutated(corpus);
        std::string rewritten;
        coverage::begin();
        const bool good = read(doc, text, rewritten);
        if (coverage::is_new() && i >= mutation::seeds().size()) corpus.push_back(text);
        if (good) require_same(doc, rewritten);
        std::printf("%s %s\n", hex_of(text).c_str(), good ? hex_of(rewritten).c_str() : "refused");
        if ((i & (i + 1)) == 0 || i + 1 == count)
            std::printf("COVERAGE %lu %zu %zu\n", i + 1, coverage::branches(), corpus.size());
    }
    return 0;
}
