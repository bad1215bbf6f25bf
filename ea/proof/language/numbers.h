// Numbers as MQL5 reckons, reads and writes them.
#ifndef COUNTERSIGN_PROOF_NUMBERS_H
#define COUNTERSIGN_PROOF_NUMBERS_H

#include <cerrno>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstdio>

#include "language/texts.h"

// Seconds since 1970. MQL5 has a type of its own for it and turns it into a number and back without a word.
typedef long datetime;

#define EMPTY_VALUE DBL_MAX

// Both of one type: MQL5 chooses another one in its own way.
template <typename T> T MathMin(T one, T other) { return one < other ? one : other; }
template <typename T> T MathMax(T one, T other) { return one > other ? one : other; }
template <typename T> T MathAbs(T number) {
    static_assert(std::is_signed<T>::value && sizeof(T) >= 4, "MathAbs of a number that has no sign");
    return number < 0 ? -number : number;
}
inline double MathFloor(double number) { return std::floor(number); }
inline double MathCeil(double number) { return std::ceil(number); }
inline double MathRound(double number) { return std::round(number); }
inline double MathPow(double base, double exponent) { return std::pow(base, exponent); }
inline double MathSqrt(double number) { return std::sqrt(number); }
inline double MathLog(double number) { return std::log(number); }
inline double MathLog10(double number) { return std::log10(number); }
inline double MathExp(double number) { return std::exp(number); }
inline double MathMod(double number, double other) { return std::fmod(number, other); }
inline bool MathIsValidNumber(double number) { return std::isfinite(number); }

inline double NormalizeDouble(double number, int digits) {
    if (digits < 0 || digits > 8) throw std::logic_error("asked in an unknown way");
    const double scale = std::pow(10.0, digits);
    return std::round(number * scale) / scale;
}

// A number of 15 bits after another, as a program of Microsoft's makes them.
inline uint &proof_random() {
    static uint state = 1;
    return state;
}
inline void MathSrand(int seed) { proof_random() = static_cast<uint>(seed); }
inline int MathRand() {
    uint &state = proof_random();
    state = static_cast<uint>((214013UL * state + 2531011UL) & 0xffffffffUL);
    return static_cast<int>((state >> 16) & 0x7fff);
}

inline string IntegerToString(long number) { return string(std::to_string(number).c_str()); }
// A ulong above the greatest long would come out below zero.
inline string IntegerToString(ulong number) {
    if (number > static_cast<ulong>(LONG_MAX)) throw std::logic_error("no whole number that MQL5 would write");
    return string(std::to_string(number).c_str());
}
inline string IntegerToString(int number) { return IntegerToString(static_cast<long>(number)); }
inline string IntegerToString(uint number) { return IntegerToString(static_cast<long>(number)); }

// At most 16 places behind the point, or as many of e's (below 0). The reference promises no more than printf does.
inline string DoubleToString(double number, int digits = 8) {
    if (digits < 0 || digits > 16 || !std::isfinite(number)) throw std::logic_error("asked in an unknown way");
    char written[400];
    std::snprintf(written, sizeof written, "%.*f", digits, number);
    return string(written);
}

namespace proof {

// The beginning that is a number, in ASCII; MQL5 reads so far and forgets the rest.
inline std::string ascii_of(const string &text) {
    std::string bytes;
    for (const char16_t unit : text.units()) bytes += unit < 128 ? static_cast<char>(unit) : '?';
    return bytes;
}

}  // namespace proof

// Without a number at its beginning a text is 0. One too great is no number that anything may rest on.
inline long StringToInteger(const string &text) {
    errno = 0;
    const long number = std::strtol(proof::ascii_of(text).c_str(), nullptr, 10);
    if (errno == ERANGE) throw std::out_of_range("a whole number of more than 64 bits");
    return number;
}

// Digits, a point, an exponent; C's own words for infinity and its hexadecimal numbers are none.
inline double StringToDouble(const string &text) {
    std::string told = proof::ascii_of(text);
    const std::size_t end = told.find_first_not_of("0123456789+-.eE \t");
    return std::strtod(told.substr(0, end).c_str(), nullptr);
}

#endif
