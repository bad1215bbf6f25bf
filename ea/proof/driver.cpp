// Asks the translated files one question a line and prints one answer a line.
//
// A question is a word and its arguments, all in hex so that any bytes can be asked; "-" is no bytes. An answer is hex,
// or "refused". The hex here is the driver's own: what is tested is not what reads the test.
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "mql.h"

#include "Bytes.mqh"
#include "ChaCha20Poly1305.mqh"
#include "Hkdf.mqh"
#include "Hmac.mqh"
#include "Poly1305.mqh"
#include "Sha256.mqh"
#include "Signing.mqh"

namespace {

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

std::string hex_of(const Arr<uchar> &bytes) {
    std::string text;
    char digits[3];
    for (long i = 0; i < bytes.size(); i++) {
        std::snprintf(digits, sizeof digits, "%02x", static_cast<uint>(bytes[i]));
        text += digits;
    }
    return text.empty() ? "-" : text;
}

// Answers are ASCII; a unit that is not shows as a question mark.
std::string ascii_of(const string &text) {
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

std::string told(bool good) { return good ? "01" : "00"; }

typedef std::vector<Argument *> Arguments;

std::string sha256_in_parts(const Arr<uchar> &bytes, long part) {
    CsSha256State state;
    Used digest;
    CsSha256Begin(state);
    for (long from = 0; from < bytes.size(); from += part) {
        Arr<uchar> some;
        const long rest = bytes.size() - from;
        ArrayCopy(some, bytes, 0, static_cast<int>(from), static_cast<int>(rest < part ? rest : part));
        CsSha256Add(state, some);
    }
    CsSha256End(state, digest.bytes);
    return digest.told();
}

std::string chacha20(const Arguments &a) {
    Used out;
    ArrayResize(out.bytes, ArraySize(a[3]->bytes()));
    CsChaCha20(a[0]->bytes(), static_cast<uint>(a[1]->number()), a[2]->bytes(), a[3]->bytes(),
               ArraySize(a[3]->bytes()), out.bytes);
    return out.told();
}

// Each answer of a function that writes an array: f(arguments, output) with or without a verdict.
std::string written(const std::function<void(Arr<uchar> &)> &write) {
    Used out;
    write(out.bytes);
    return out.told();
}
std::string judged(const std::function<bool(Arr<uchar> &)> &write) {
    Used out;
    const bool good = write(out.bytes);
    return out.told(good);
}

const std::map<std::string, std::function<std::string(const Arguments &)>> ANSWERS = {
    {"utf8", [](const Arguments &a) { return written([&](Arr<uchar> &o) { CsUtf8(a[0]->text(), o); }); }},
    {"to-hex", [](const Arguments &a) { return ascii_of(CsToHex(a[0]->bytes())); }},
    {"from-hex", [](const Arguments &a) { return judged([&](Arr<uchar> &o) { return CsFromHex(a[0]->text(), o); }); }},
    {"from-base64url",
     [](const Arguments &a) { return judged([&](Arr<uchar> &o) { return CsFromBase64Url(a[0]->text(), o); }); }},
    {"same", [](const Arguments &a) { return told(CsSameBytes(a[0]->bytes(), a[1]->bytes())); }},
    {"sha256", [](const Arguments &a) { return written([&](Arr<uchar> &o) { CsSha256(a[0]->bytes(), o); }); }},
    {"sha256-parts", [](const Arguments &a) { return sha256_in_parts(a[0]->bytes(), a[1]->number()); }},
    {"hmac",
     [](const Arguments &a) {
         return written([&](Arr<uchar> &o) { CsHmacSha256(a[0]->bytes(), a[1]->bytes(), o); });
     }},
    {"hkdf",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsHkdfSha256(a[0]->bytes(), a[1]->bytes(), a[2]->bytes(), static_cast<int>(a[3]->number()), o);
         });
     }},
    {"chacha20", chacha20},
    {"poly1305",
     [](const Arguments &a) { return written([&](Arr<uchar> &o) { CsPoly1305(a[0]->bytes(), a[1]->bytes(), o); }); }},
    {"seal",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsSeal(a[0]->bytes(), a[1]->bytes(), a[2]->bytes(), a[3]->bytes(), o);
         });
     }},
    {"open",
     [](const Arguments &a) {
         return judged([&](Arr<uchar> &o) {
             return CsOpen(a[0]->bytes(), a[1]->bytes(), a[2]->bytes(), a[3]->bytes(), o);
         });
     }},
    {"read-secret",
     [](const Arguments &a) { return judged([&](Arr<uchar> &o) { return CsReadSecret(a[0]->text(), o); }); }},
    {"canonical-request",
     [](const Arguments &a) {
         return written([&](Arr<uchar> &o) {
             CsUtf8(CsCanonicalRequest(a[0]->text(), a[1]->text(), a[2]->number(), a[3]->text(), a[4]->bytes()), o);
         });
     }},
    {"canonical-answer",
     [](const Arguments &a) {
         return written([&](Arr<uchar> &o) {
             CsUtf8(CsCanonicalAnswer(static_cast<int>(a[0]->number()), a[1]->text(), a[2]->bytes()), o);
         });
     }},
    {"sign-request",
     [](const Arguments &a) {
         return ascii_of(CsSignRequest(a[0]->bytes(), a[1]->text(), a[2]->text(), a[3]->number(), a[4]->text(),
                                       a[5]->bytes()));
     }},
    {"genuine",
     [](const Arguments &a) { return told(CsIsGenuine(a[0]->bytes(), a[1]->text(), a[2]->text())); }},
    {"genuine-answer",
     [](const Arguments &a) {
         return told(CsIsGenuineAnswer(a[0]->bytes(), static_cast<int>(a[1]->number()), a[2]->text(), a[3]->bytes(),
                                       a[4]->text()));
     }},
};

std::string answer(const std::string &line) {
    std::istringstream words(line);
    std::string word, hex;
    words >> word;
    std::vector<std::unique_ptr<Argument>> kept;
    Arguments arguments;
    while (words >> hex) {
        kept.push_back(std::make_unique<Argument>(hex));
        arguments.push_back(kept.back().get());
    }
    return ANSWERS.at(word)(arguments);
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) std::cout << answer(line) << std::endl;
    return 0;
}
