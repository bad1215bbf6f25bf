// Texts as MQL5 has them: UTF-16, joined to texts alone, for MQL5 writes numbers into texts in its own way.
//
// Where MQL5 forgives a place that a text does not have, the program ends here: nothing may rest on it.
#ifndef COUNTERSIGN_PROOF_TEXTS_H
#define COUNTERSIGN_PROOF_TEXTS_H

#include <string>

#include "language/arrays.h"

#define CP_ACP 0
#define CP_UTF8 65001

class string {
 public:
    string() : units_() {}
    // A literal of the sources, which are ASCII.
    string(const char *literal) : units_(literal, literal + std::strlen(literal)) {}
    explicit string(const std::u16string &units) : units_(units) {}
    // `(string)number` would be MQL5's own spelling of it, and 0 no text at all.
    template <typename T, typename = std::enable_if_t<std::is_arithmetic<T>::value || std::is_enum<T>::value>>
    string(T) = delete;
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
inline bool operator!=(const string &one, const string &other) { return one.units() != other.units(); }
// Numbers would be read as characters or as places in memory.
template <typename T> string operator+(const string &, T) = delete;
template <typename T> string operator+(T, const string &) = delete;
inline string operator+(const string &one, const char *other) { return one + string(other); }
inline string operator+(const char *one, const string &other) { return string(one) + other; }

namespace proof {

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

inline void append_utf8(std::string &bytes, uint point) {
    static const uint lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const int size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    bytes.push_back(static_cast<char>(lead[size == 1 ? 0 : size] | (point >> (6 * (size - 1)))));
    for (int i = size - 2; i >= 0; i--) bytes.push_back(static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3f)));
}

inline std::string utf8(const string &text) {
    std::string bytes;
    std::size_t taken = 1;
    for (std::size_t i = 0; i < text.units().size(); i += taken) append_utf8(bytes, code_point(text.units(), i, taken));
    return bytes;
}

// How many bytes the character that begins with this one has, and what the first gives to it; 0 for no beginning.
inline std::size_t length_of_utf8(uchar first, uint &point) {
    if (first < 0x80) return point = first, 1;
    if (first >= 0xc2 && first < 0xe0) return point = first & 0x1fu, 2;
    if (first >= 0xe0 && first < 0xf0) return point = first & 0x0fu, 3;
    if (first >= 0xf0 && first < 0xf5) return point = first & 0x07u, 4;
    return 0;
}

// The character at a place and the bytes it takes; what is no UTF-8 is read as U+FFFD, a byte at a time.
inline uint read_utf8(const std::string &bytes, std::size_t place, std::size_t &taken) {
    static const uint least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint point = 0;
    const std::size_t length = length_of_utf8(static_cast<uchar>(bytes[place]), point);
    taken = 1;
    if (length == 0 || place + length > bytes.size()) return 0xfffd;
    for (std::size_t i = 1; i < length; i++) {
        const uint more = static_cast<uchar>(bytes[place + i]);
        if ((more & 0xc0) != 0x80) return 0xfffd;
        point = (point << 6) | (more & 0x3f);
    }
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return 0xfffd;
    taken = length;
    return point;
}

inline string text_of(const std::string &bytes) {
    std::u16string units;
    std::size_t taken = 1;
    for (std::size_t i = 0; i < bytes.size(); i += taken) {
        const uint point = read_utf8(bytes, i, taken);
        if (point > 0xffff) units += static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10));
        units += static_cast<char16_t>(point > 0xffff ? 0xdc00 + ((point - 0x10000) & 0x3ff) : point);
    }
    return string(units);
}

inline bool is_blank(char16_t unit) { return unit == ' ' || (unit >= 9 && unit <= 13); }

// Letters of ASCII: what a terminal makes of others is its system's affair.
inline void change_case(string &text, char16_t from, int by) {
    std::u16string units = text.units();
    for (char16_t &unit : units)
        if (unit >= from && unit < from + 26) unit = static_cast<char16_t>(unit + by);
    text = string(units);
}

}  // namespace proof

inline int StringLen(const string &text) { return static_cast<int>(text.units().size()); }

inline ushort StringGetCharacter(const string &text, int place) {
    if (place < 0 || place >= StringLen(text)) throw std::out_of_range("no such character");
    return static_cast<ushort>(text.units()[static_cast<std::size_t>(place)]);
}

inline bool StringSetCharacter(string &text, int place, ushort character) {
    if (place < 0 || place >= StringLen(text) || character == 0) throw std::out_of_range("no such character");
    std::u16string units = text.units();
    units[static_cast<std::size_t>(place)] = character;
    text = string(units);
    return true;
}

inline string ShortToString(ushort character) {
    if (character == 0) throw std::out_of_range("no such character");
    return string(std::u16string(1, character));
}

// A length of 0 is nothing in one build and all the rest in another: nobody may ask for it.
inline string StringSubstr(const string &text, int from, int count = -1) {
    if (count == -1) count = StringLen(text) - from;
    if (from < 0 || count < 1 || from + count > StringLen(text)) throw std::out_of_range("no such part of a text");
    return string(text.units().substr(static_cast<std::size_t>(from), static_cast<std::size_t>(count)));
}

inline int StringFind(const string &text, const string &wanted, int from = 0) {
    if (from < 0 || from > StringLen(text) || StringLen(wanted) == 0) throw std::out_of_range("no such part of a text");
    const std::size_t found = text.units().find(wanted.units(), static_cast<std::size_t>(from));
    return found == std::u16string::npos ? -1 : static_cast<int>(found);
}

inline int StringReplace(string &text, const string &wanted, const string &other) {
    if (StringLen(wanted) == 0) throw std::out_of_range("no such part of a text");
    std::u16string units = text.units();
    int count = 0;
    for (std::size_t i = units.find(wanted.units()); i != std::u16string::npos;
         i = units.find(wanted.units(), i + other.units().size()), count++)
        units.replace(i, wanted.units().size(), other.units());
    text = string(units);
    return count;
}

inline int StringCompare(const string &one, const string &other, bool case_sensitive = true) {
    if (!case_sensitive) throw std::logic_error("asked in an unknown way");
    const int order = one.units().compare(other.units());
    return order < 0 ? -1 : order > 0 ? 1 : 0;
}

inline bool StringToLower(string &text) { return proof::change_case(text, 'A', 32), true; }
inline bool StringToUpper(string &text) { return proof::change_case(text, 'a', -32), true; }

// The text itself is cut; the answer is how many characters went.
inline int StringTrimLeft(string &text) {
    std::size_t blank = 0;
    while (blank < text.units().size() && proof::is_blank(text.units()[blank])) blank++;
    text = string(text.units().substr(blank));
    return static_cast<int>(blank);
}

inline int StringTrimRight(string &text) {
    std::size_t kept = text.units().size();
    while (kept > 0 && proof::is_blank(text.units()[kept - 1])) kept--;
    const int blank = static_cast<int>(text.units().size() - kept);
    text = string(text.units().substr(0, kept));
    return blank;
}

// The parts between separators; of an empty text there are none.
inline int StringSplit(const string &text, ushort separator, Arr<string> &parts) {
    ArrayResize(parts, 0);
    if (StringLen(text) == 0) return 0;
    std::u16string part;
    for (const char16_t unit : text.units() + std::u16string(1, separator)) {
        if (unit != separator) {
            part += unit;
            continue;
        }
        ArrayResize(parts, ArraySize(parts) + 1);
        parts[parts.size() - 1] = string(part);
        part.clear();
    }
    return ArraySize(parts);
}

// As MQL5 does it, the zero byte behind the text is copied and counted, and a longer array stays as long as it was.
// A count leaves the zero byte off, but it counts bytes: that is right for ASCII alone.
inline int StringToCharArray(const string &text, Arr<uchar> &array, int at, int count, int codepage) {
    if (at != 0 || codepage != CP_UTF8) throw std::logic_error("asked in an unknown way");
    std::string bytes = proof::utf8(text);
    if (count == WHOLE_ARRAY)
        bytes.push_back(0);
    else if (count != StringLen(text) || static_cast<int>(bytes.size()) != count)
        throw std::logic_error("asked in an unknown way");
    const int size = static_cast<int>(bytes.size());
    if (ArraySize(array) < size) ArrayResize(array, size);
    for (int i = 0; i < size; i++) array[i] = static_cast<uchar>(bytes[static_cast<std::size_t>(i)]);
    return size;
}

// A zero byte ends the text.
inline string CharArrayToString(const Arr<uchar> &array, int from, int count, int codepage) {
    if (codepage != CP_UTF8) throw std::logic_error("asked in an unknown way");
    const long end = count == WHOLE_ARRAY ? array.size() : from + count;
    if (from < 0 || count < WHOLE_ARRAY || end > array.size()) throw std::out_of_range("array out of range");
    std::string bytes;
    for (long i = from; i < end && array[i] != 0; i++) bytes.push_back(static_cast<char>(array[i]));
    return proof::text_of(bytes);
}

#endif
