// Reads one question a line and prints one answer a line.
//
// A question is a word and its arguments, all in hex so that any bytes can be asked; "-" is no bytes. An answer is hex,
// or "refused". The hex here is its own: what is tested is not what reads the test.
#ifndef COUNTERSIGN_PROOF_ASKING_H
#define COUNTERSIGN_PROOF_ASKING_H

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "mql.h"

namespace asking {

// One argument of a question, as whatever it is wanted.
class Argument {
 public:
    explicit Argument(const std::string &hex) : raw_(), bytes_() {
        for (std::size_t i = 0; hex != "-" && i < hex.size(); i += 2)
            raw_ += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
        ArrayResize(bytes_, static_cast<int>(raw_.size()));
        for (int i = 0; i < ArraySize(bytes_); i++) bytes_[i] = static_cast<uchar>(raw_[static_cast<std::size_t>(i)]);
    }
    const Arr<uchar> &bytes() const { return bytes_; }
    long number() const { return std::stol(raw_); }
    // Texts are asked in UTF-16, little end first: also those that UTF-8 cannot write.
    string text() const {
        std::u16string units;
        for (long i = 0; i + 1 < bytes_.size(); i += 2)
            units += static_cast<char16_t>(bytes_[i] | (bytes_[i + 1] << 8));
        return string(units);
    }

 private:
    std::string raw_;
    Arr<uchar> bytes_;
};

inline std::string hex_of(const Arr<uchar> &bytes) {
    std::string text;
    char digits[3];
    for (long i = 0; i < bytes.size(); i++) {
        std::snprintf(digits, sizeof digits, "%02x", static_cast<uint>(bytes[i]));
        text += digits;
    }
    return text.empty() ? "-" : text;
}

// Answers are ASCII; a unit that is not shows as a question mark.
inline std::string ascii_of(const string &text) {
    std::string plain;
    for (const char16_t unit : text.units()) plain += unit < 128 ? static_cast<char>(unit) : '?';
    Arr<uchar> bytes;
    ArrayResize(bytes, static_cast<int>(plain.size()));
    for (long i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uchar>(plain[static_cast<std::size_t>(i)]);
    return hex_of(bytes);
}

// An output that was used before: what is left in it must not show.
struct Used {
    Arr<uchar> bytes;
    Used() : bytes() { ArrayResize(bytes, 777); }
    std::string told(bool good = true) const {
        return good ? hex_of(bytes) : bytes.size() == 0 ? "refused" : "refused, but left bytes behind";
    }
};

inline std::string told(bool good) { return good ? "01" : "00"; }

typedef std::vector<Argument *> Arguments;

// Each answer of a function that writes an array: f(arguments, output) with or without a verdict.
inline std::string written(const std::function<void(Arr<uchar> &)> &write) {
    Used out;
    write(out.bytes);
    return out.told();
}
inline std::string judged(const std::function<bool(Arr<uchar> &)> &write) {
    Used out;
    const bool good = write(out.bytes);
    return out.told(good);
}

typedef std::map<std::string, std::function<std::string(const Arguments &)>> Answers;

inline std::string answer(const Answers &answers, const std::string &line) {
    std::istringstream words(line);
    std::string word, hex;
    words >> word;
    std::vector<std::unique_ptr<Argument>> kept;
    Arguments arguments;
    while (words >> hex) {
        kept.push_back(std::make_unique<Argument>(hex));
        arguments.push_back(kept.back().get());
    }
    return answers.at(word)(arguments);
}

// Answer until nobody asks any more.
inline int answer_all(const Answers &answers) {
    std::string line;
    while (std::getline(std::cin, line)) std::cout << answer(answers, line) << std::endl;
    return 0;
}

}  // namespace asking

#endif
