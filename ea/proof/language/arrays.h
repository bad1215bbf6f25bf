// Arrays as MQL5 has them, for g++; as strict as MQL5 where MQL5 is strict, and stricter where it is lax.
//
// - Arrays know their bounds: reading or writing beyond them ends the program, as in a terminal.
// - Fixed arrays cannot be resized. New elements are not zero: MQL5 does not promise it, so nothing may rest on it.
// - An array is not assigned to another. A structure with a growing array in it is not assigned either.
#ifndef COUNTERSIGN_PROOF_ARRAYS_H
#define COUNTERSIGN_PROOF_ARRAYS_H

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
static_assert(sizeof(int) == 4 && sizeof(long) == 8, "MQL5's int has 32 bits and its long 64");

#define WHOLE_ARRAY (-1)

namespace proof {

// Elements lie in rubbish until they are set; what has a constructor of its own (texts, arrays) is whole all the same.
template <typename T> struct Cell {
    T value;
};

template <typename T> struct InRubbish {
    typedef T value_type;
    InRubbish() = default;
    template <typename Other> InRubbish(const InRubbish<Other> &) {}
    T *allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
    void deallocate(T *place, std::size_t count) { std::allocator<T>().deallocate(place, count); }
    template <typename U> void construct(U *place) {
        std::memset(static_cast<void *>(place), 0xa5, sizeof(U));
        ::new (static_cast<void *>(place)) U;
    }
    template <typename U, typename... Given> void construct(U *place, Given &&...given) {
        ::new (static_cast<void *>(place)) U(std::forward<Given>(given)...);
    }
};
template <typename One, typename Other> bool operator==(const InRubbish<One> &, const InRubbish<Other> &) {
    return true;
}
template <typename One, typename Other> bool operator!=(const InRubbish<One> &, const InRubbish<Other> &) {
    return false;
}

}  // namespace proof

template <typename T> class Arr {
 public:
    Arr() : cells_(), fixed_(false) {}
    Arr(const Arr &) = delete;
    Arr &operator=(const Arr &) = delete;
    Arr(Arr &&) = default;
    Arr &operator=(Arr &&) = default;

    T &operator[](long place) { return cells_[checked(place)].value; }
    const T &operator[](long place) const { return cells_[checked(place)].value; }
    long size() const { return static_cast<long>(cells_.size()); }
    bool fixed() const { return fixed_; }

    void resize(long size) {
        if (fixed_) throw std::logic_error("a fixed array cannot be resized");
        if (size < 0 || size > std::numeric_limits<int>::max()) throw std::logic_error("no size of an array");
        cells_.resize(static_cast<std::size_t>(size));
    }

 protected:
    Arr(long size, std::initializer_list<T> values) : cells_(static_cast<std::size_t>(size)), fixed_(true) {
        if (values.size() == 0) return;
        if (static_cast<long>(values.size()) != size)
            throw std::logic_error("another number of values than the array has places");
        long place = 0;
        for (const T &value : values) (*this)[place++] = value;
    }

 private:
    std::vector<proof::Cell<T>, proof::InRubbish<proof::Cell<T>>> cells_;
    bool fixed_;

    std::size_t checked(long place) const {
        if (place < 0 || place >= size()) throw std::out_of_range("array out of range");
        return static_cast<std::size_t>(place);
    }
};

template <typename T, long N> class Fixed : public Arr<T> {
 public:
    Fixed(std::initializer_list<T> values = {}) : Arr<T>(N, values) {}
};

// A fixed array in a structure goes with it when the structure is copied.
template <typename T, long N> class FixedMember : public Fixed<T, N> {
 public:
    FixedMember() : Fixed<T, N>() {}
    FixedMember(const FixedMember &other) : Fixed<T, N>() { *this = other; }
    FixedMember &operator=(const FixedMember &other) {
        for (long i = 0; i < N; i++) (*this)[i] = other[i];
        return *this;
    }
};

template <typename T> int ArraySize(const Arr<T> &array) { return static_cast<int>(array.size()); }

template <typename T> int ArrayResize(Arr<T> &array, int size, int reserve = 0) {
    if (reserve < 0) throw std::logic_error("no size of an array");
    array.resize(size);
    return size;
}

template <typename T> void ArrayFree(Arr<T> &array) { array.resize(0); }

template <typename T> bool ArrayIsDynamic(const Arr<T> &array) { return !array.fixed(); }

// Numbers alone: MQL5 does not fill arrays of texts or structures.
template <typename T> void ArrayInitialize(Arr<T> &array, T value) {
    static_assert(std::is_arithmetic<T>::value, "ArrayInitialize is for numbers");
    for (long i = 0; i < array.size(); i++) array[i] = value;
}
template <typename T> void ArrayInitialize(Arr<T> &array, int value) { ArrayInitialize(array, static_cast<T>(value)); }

template <typename T> void ArrayFill(Arr<T> &array, int from, int count, T value) {
    static_assert(std::is_arithmetic<T>::value, "ArrayFill is for numbers");
    if (from < 0 || count < 0 || from + count > array.size()) throw std::out_of_range("array out of range");
    for (long i = 0; i < count; i++) array[from + i] = value;
}
template <typename T> void ArrayFill(Arr<T> &array, int from, int count, int value) {
    ArrayFill(array, from, count, static_cast<T>(value));
}

class string;

// A target that is too short grows, unless it is fixed: then MQL5 would copy a part and say nothing. Structures that
// hold texts or arrays MQL5 does not copy at all.
template <typename T>
int ArrayCopy(Arr<T> &target, const Arr<T> &source, int at = 0, int from = 0, int count = WHOLE_ARRAY) {
    static_assert(std::is_trivially_copyable<T>::value || std::is_same<T, string>::value,
                  "ArrayCopy is for numbers, texts and simple structures");
    if (static_cast<const Arr<T> *>(&target) == &source) throw std::logic_error("an array copied into itself");
    if (at < 0 || from < 0 || count < WHOLE_ARRAY) throw std::out_of_range("array out of range");
    const long some = count == WHOLE_ARRAY ? source.size() - from : count;
    if (some < 0 || from + some > source.size()) throw std::out_of_range("array out of range");
    if (at > target.size()) throw std::out_of_range("array out of range");
    if (at + some > target.size()) target.resize(at + some);
    for (long i = 0; i < some; i++) target[at + i] = source[from + i];
    return static_cast<int>(some);
}

// All of it as nothing: numbers zero, texts empty, growing arrays without elements.
template <typename T> void ZeroMemory(T &variable) { variable = T(); }

#endif
