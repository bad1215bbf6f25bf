// What of MQL5 the files in Include use, for g++; as strict as MQL5 where MQL5 is strict, and stricter where it is lax.
//
// - Arrays know their bounds: reading or writing beyond them ends the program, as in a terminal.
// - Fixed arrays cannot be resized. New elements are not zero: MQL5 does not promise it, so nothing may rest on it.
// - Strings are UTF-16. They add to strings alone: MQL5 writes numbers into texts in its own way.
// - Only what is used is here; anything else does not compile until somebody looks up what MQL5 makes of it.
#ifndef COUNTERSIGN_PROOF_MQL_H
#define COUNTERSIGN_PROOF_MQL_H

#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
static_assert(sizeof(int) == 4 && sizeof(long) == 8, "MQL5's int has 32 bits and its long 64");

#define WHOLE_ARRAY (-1)
#define CP_UTF8 65001

template <typename T> class Arr {
 public:
    Arr() : items_(), fixed_(false) {}
    Arr(const Arr &) = delete;
    Arr &operator=(const Arr &) = delete;

    T &operator[](long place) { return items_[checked(place)]; }
    const T &operator[](long place) const { return items_[checked(place)]; }
    long size() const { return static_cast<long>(items_.size()); }
    bool fixed() const { return fixed_; }

    void resize(long size) {
        if (fixed_) throw std::logic_error("a fixed array cannot be resized");
        if (size < 0 || size > std::numeric_limits<int>::max()) throw std::logic_error("no size of an array");
        fill(size);
    }

 protected:
    Arr(long size, std::initializer_list<T> values) : items_(values), fixed_(true) {
        if (values.size() == 0) fill(size);
        if (this->size() != size) throw std::logic_error("another number of values than the array has places");
    }

 private:
    std::vector<T> items_;
    bool fixed_;

    std::size_t checked(long place) const {
        if (place < 0 || place >= size()) throw std::out_of_range("array out of range");
        return static_cast<std::size_t>(place);
    }

    void fill(long size) {
        T rubbish;
        std::memset(&rubbish, 0xa5, sizeof rubbish);
        items_.resize(static_cast<std::size_t>(size), rubbish);
    }
};

template <typename T, long N> class Fixed : public Arr<T> {
 public:
    Fixed(std::initializer_list<T> values = {}) : Arr<T>(N, values) {}
};

template <typename T> int ArraySize(const Arr<T> &array) { return static_cast<int>(array.size()); }

template <typename T> int ArrayResize(Arr<T> &array, int size) {
    array.resize(size);
    return size;
}

template <typename T> void ArrayInitialize(Arr<T> &array, T value) {
    for (long i = 0; i < array.size(); i++) array[i] = value;
}
template <typename T> void ArrayInitialize(Arr<T> &array, int value) { ArrayInitialize(array, static_cast<T>(value)); }

// A target that is too short grows, unless it is fixed: then MQL5 would copy a part and say nothing.
template <typename T>
int ArrayCopy(Arr<T> &target, const Arr<T> &source, int at = 0, int from = 0, int count = WHOLE_ARRAY) {
    if (static_cast<const Arr<T> *>(&target) == &source) throw std::logic_error("an array copied into itself");
    if (at < 0 || from < 0 || count < WHOLE_ARRAY) throw std::out_of_range("array out of range");
    const long some = count == WHOLE_ARRAY ? source.size() - from : count;
    if (some < 0 || from + some > source.size()) throw std::out_of_range("array out of range");
    if (at > target.size()) throw std::out_of_range("array out of range");
    if (at + some > target.size()) target.resize(at + some);
    for (long i = 0; i < some; i++) target[at + i] = source[from + i];
    return static_cast<int>(some);
}

class string {
 public:
    string() : units_() {}
    // A literal of the sources, which are ASCII.
    string(const char *literal) : units_(literal, literal + std::strlen(literal)) {}
    explicit string(const std::u16string &units) : units_(units) {}
    const std::u16string &units() const { return units_; }
    string &operator+=(const string &more) {
        units_ += more.units_;
        return *this;
    }

 private:
    std::u16string units_;
};

inline string operator+(const string &one, const string &other) { return string(one.units() + other.units()); }
inline bool operator==(const string &one, const string &other) { return one.units() == other.units(); }
// Numbers would be read as characters or as places in memory.
template <typename T> string operator+(const string &, T) = delete;
template <typename T> string operator+(T, const string &) = delete;
inline string operator+(const string &one, const char *other) { return one + string(other); }
inline string operator+(const char *one, const string &other) { return string(one) + other; }

inline int StringLen(const string &text) { return static_cast<int>(text.units().size()); }

inline ushort StringGetCharacter(const string &text, int place) {
    if (place < 0 || place >= StringLen(text)) throw std::out_of_range("no such character");
    return static_cast<ushort>(text.units()[static_cast<std::size_t>(place)]);
}

inline string StringSubstr(const string &text, int from, int count) {
    if (from < 0 || count < 0 || from + count > StringLen(text)) throw std::out_of_range("no such part of a text");
    return string(text.units().substr(static_cast<std::size_t>(from), static_cast<std::size_t>(count)));
}

inline string IntegerToString(long number) { return string(std::to_string(number).c_str()); }

// The code point at a place, and how many units it takes. Half a pair is no character: Windows writes U+FFFD for it.
inline uint code_point(const std::u16string &units, std::size_t place, std::size_t &taken) {
    const uint first = units[place];
    taken = 1;
    if (first < 0xd800 || first > 0xdfff) return first;
    const uint second = place + 1 < units.size() ? static_cast<uint>(units[place + 1]) : 0;
    if (first > 0xdbff || second < 0xdc00 || second > 0xdfff) return 0xfffd;
    taken = 2;
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

inline void append_utf8(std::vector<uchar> &bytes, uint point) {
    static const uint lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const int size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    bytes.push_back(static_cast<uchar>(lead[size == 1 ? 0 : size] | (point >> (6 * (size - 1)))));
    for (int i = size - 2; i >= 0; i--) bytes.push_back(static_cast<uchar>(0x80 | ((point >> (6 * i)) & 0x3f)));
}

// What a terminal writes to its Experts tab goes to standard output. Texts that are printed are ASCII.
inline void Print(const string &text) {
    for (const char16_t unit : text.units()) std::putchar(unit < 128 ? static_cast<int>(unit) : '?');
    std::putchar('\n');
}

// As MQL5 does it, the zero byte behind the text is copied and counted, and a longer array stays as long as it was.
inline int StringToCharArray(const string &text, Arr<uchar> &array, int at, int count, int codepage) {
    if (at != 0 || count != WHOLE_ARRAY || codepage != CP_UTF8) throw std::logic_error("asked in an unknown way");
    std::vector<uchar> bytes;
    std::size_t taken = 1;
    for (std::size_t i = 0; i < text.units().size(); i += taken) append_utf8(bytes, code_point(text.units(), i, taken));
    bytes.push_back(0);
    const int size = static_cast<int>(bytes.size());
    if (ArraySize(array) < size) ArrayResize(array, size);
    for (int i = 0; i < size; i++) array[i] = bytes[static_cast<std::size_t>(i)];
    return size;
}

#endif
