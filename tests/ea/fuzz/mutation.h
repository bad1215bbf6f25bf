// Inputs made of other inputs: bytes changed, pieces of JSON put in, parts doubled, cut out and swapped.
#ifndef COUNTERSIGN_FUZZ_MUTATION_H
#define COUNTERSIGN_FUZZ_MUTATION_H

#include <random>
#include <string>
#include <vector>

namespace mutation {

typedef std::vector<std::string> Corpus;

const std::size_t LONGEST = 3000;

inline const Corpus &pieces() {
    static const Corpus PIECES = {
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83e", "\\ude99", "\\u0000", "\\u0041", "\\u00e", "\\n", "\\/", "\"\"",
        "\"a\"", "\"a\":", "\"a\":1", ",\"a\":1", "{\"a\":1}", "[1]", "[]", "{}", "0", "-", "-0", "1", "9", ".", ".5", "e",
        "E+", "e-1", "00", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "true", "false",
        "null", "NaN", "Infinity", " ", "\t", "\n", "\r", "\x0b", "\x7f", "\xc3\xa9", "\xf0\x9f\xaa\x99", "\xed\xa0\x80",
        "\xc0\x80", "\xff", "\xef\xbb\xbf", "[[[[[[[[", "]]]]]]]]", "{\"a\":{\"a\":{\"a\":", "}}}", "1,1,1,1,1,1,1,1,1,1,",
        "\"orders\":", "\"order_id\":\"7\"", "//", "/**/", "'"};
    return PIECES;
}

inline const Corpus &seeds() {
    static const Corpus SEEDS = {
        "{}", "[]", "0", "\"\"", "null", "{\"server_time\":1714564801}",
        "{\"orders\":[{\"order_id\":\"17\",\"seq\":1714564801000,\"symbol\":\"EURUSD\",\"side\":\"buy\",\"volume\":\"0.10\","
        "\"entry_price\":null,\"stop_loss\":\"1.08000\",\"take_profits\":[\"1.10000\",\"1.11000\"],\"magic\":281474976710657,"
        "\"began_at\":null}],\"next_poll_seconds\":2,\"wanted\":{\"all\":false,\"symbols\":[\"XAUUSD\"]}}",
        "{\"type\":\"about:blank\",\"title\":\"Conflict\",\"status\":409,\"code\":\"already_begun\",\"request_id\":\"\\u00e9\"}"};
    return SEEDS;
}

class Mutator {
 public:
    explicit Mutator(unsigned long seed) : chance_(seed) {}

    std::size_t below(std::size_t end) { return end == 0 ? 0 : chance_() % end; }

    const std::string &one_of(const Corpus &corpus) { return corpus[below(corpus.size())]; }

    std::string mutated(const Corpus &corpus) {
        std::string text = one_of(corpus);
        for (std::size_t left = 1 + below(1 + below(4)); left > 0; left--) change(text, corpus);
        if (text.size() > LONGEST) text.resize(LONGEST);
        return text;
    }

 private:
    std::mt19937_64 chance_;

    std::string end_of(const std::string &text) { return text.substr(below(text.size() + 1)); }

    void change(std::string &text, const Corpus &corpus) {
        const std::size_t at = below(text.size() + 1), length = below(1 + (text.size() - at) % 64);
        switch (below(9)) {
            case 0: text.insert(at, 1, static_cast<char>(below(256))); break;
            case 1: text.erase(at, 1 + below(4)); break;
            case 2: text.erase(at, length); break;
            case 3: text.insert(below(text.size() + 1), text.substr(at, length)); break;
            case 4: text = text.substr(0, at) + end_of(one_of(corpus)); break;
            case 5: if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8))); break;
            case 6: text.resize(at); break;
            default: text.insert(at, one_of(pieces()));
        }
    }
};

}  // namespace mutation

#endif
