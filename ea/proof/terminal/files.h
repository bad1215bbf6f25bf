// Files in the terminal's own folder, or in the one all terminals share.
//
// What is written lies in the program until it is flushed or the file is closed, and is lost with it. A flush can be
// struck in its middle. Moving a file over another takes the other away first: nothing says that it is done in one.
#ifndef COUNTERSIGN_PROOF_FILES_H
#define COUNTERSIGN_PROOF_FILES_H

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "terminal/constants.h"
#include "terminal/platform.h"

#define FILE_READ 1
#define FILE_WRITE 2
#define FILE_BIN 4
#define FILE_CSV 8
#define FILE_TXT 16
#define FILE_ANSI 32
#define FILE_UNICODE 64
#define FILE_SHARE_READ 128
#define FILE_SHARE_WRITE 256
#define FILE_REWRITE 512
#define FILE_COMMON 4096
#define INVALID_HANDLE (-1)

enum ENUM_FILE_POSITION { SEEK_SET_OF_FILE, SEEK_CUR_OF_FILE, SEEK_END_OF_FILE };
#undef SEEK_SET
#undef SEEK_CUR
#undef SEEK_END
#define SEEK_SET SEEK_SET_OF_FILE
#define SEEK_CUR SEEK_CUR_OF_FILE
#define SEEK_END SEEK_END_OF_FILE

namespace proof {

// An open file as the program sees it, and what of it has not reached the disk.
struct OpenFile {
    std::string path = {};
    int flags = 0;
    int descriptor = -1;
    std::string content = {};
    std::size_t place = 0;
    std::size_t dirty_from = std::string::npos;
    std::size_t dirty_end = 0;

    void put(const std::string &bytes) {
        if (content.size() < place + bytes.size()) content.resize(place + bytes.size());
        content.replace(place, bytes.size(), bytes);
        dirty_from = std::min(dirty_from, place);
        place += bytes.size();
        dirty_end = std::max(dirty_end, place);
    }

    // In two halves, between which the power can go.
    void flush() {
        if (dirty_from == std::string::npos) return;
        point("write");
        const std::size_t half = dirty_from + (dirty_end - dirty_from) / 2;
        if (platform().disk != "full") {
            write_out(dirty_from, half);
            point("half a write");
            write_out(half, dirty_end);
        }
        dirty_from = std::string::npos, dirty_end = 0;
    }

 private:
    void write_out(std::size_t from, std::size_t end) const {
        const long size = static_cast<long>(end - from);
        if (::pwrite(descriptor, content.data() + from, end - from, static_cast<off_t>(from)) != size)
            throw std::runtime_error("the disk of the tests failed");
    }
};

inline std::map<int, OpenFile> &open_files() {
    static std::map<int, OpenFile> files;
    return files;
}

inline OpenFile &file_of(int handle) {
    const auto found = open_files().find(handle);
    if (found == open_files().end()) throw std::logic_error("a file that is not open");
    return found->second;
}

// The path of a name in the sandbox; nothing for a name that a terminal refuses.
inline std::string path_of(const string &name, int flags) {
    std::string told = utf8(name);
    for (char &unit : told)
        if (unit == '\\') unit = '/';
    const bool leaves = told.find("..") != std::string::npos || told[0] == '/' || told.find(':') != std::string::npos;
    if (told.empty() || leaves) return failed(ERR_WRONG_FILENAME, std::string());
    const std::string folder = setting(flags & FILE_COMMON ? "EA_COMMON_DATA" : "EA_DATA");
    if (folder.empty()) throw std::logic_error("no folder for files is set");
    return folder + (flags & FILE_COMMON ? "/Files/" : "/MQL5/Files/") + told;
}

inline bool is_file(const std::string &path) { return std::filesystem::is_regular_file(path); }

// Whether nobody, here or in another program, has the file open for himself.
inline bool is_free(const std::string &path) {
    for (const auto &[handle, file] : open_files())
        if (file.path == path) return false;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool locked = descriptor < 0 || ::flock(descriptor, LOCK_EX | LOCK_NB) != 0;
    ::close(descriptor);
    return !locked;
}

inline int next_handle() {
    int handle = 1;
    while (open_files().count(handle)) handle++;
    return handle;
}

}  // namespace proof

// Only for reading, a file has to be there; only for writing, it is emptied at once; for both, it stays as it is.
inline int FileOpen(const string &name, int flags, short delimiter = '\t', uint codepage = CP_ACP) {
    const bool text = (flags & FILE_TXT) != 0;
    if (text == ((flags & FILE_BIN) != 0) || (flags & (FILE_CSV | FILE_UNICODE)) || delimiter != '\t')
        throw std::logic_error("a file that is neither binary nor ANSI text");
    if (text && (!(flags & FILE_ANSI) || codepage != CP_UTF8))
        throw std::logic_error("a text file in another code page than UTF-8");
    const std::string path = proof::path_of(name, flags);
    if (path.empty()) return INVALID_HANDLE;
    const bool reads = flags & FILE_READ, writes = flags & FILE_WRITE;
    if (writes) {
        if (proof::platform().disk == "read-only") return proof::failed(ERR_CANNOT_OPEN_FILE, INVALID_HANDLE);
        if (!reads || !proof::is_file(path)) proof::point("making or emptying a file");
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    }
    proof::OpenFile file;
    file.path = path, file.flags = flags;
    file.descriptor = ::open(path.c_str(), (writes ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0600);
    if (file.descriptor < 0) return proof::failed(ERR_CANNOT_OPEN_FILE, INVALID_HANDLE);
    const int wanted = flags & (FILE_SHARE_READ | FILE_SHARE_WRITE) ? LOCK_SH : LOCK_EX;
    if (::flock(file.descriptor, wanted | LOCK_NB) != 0) {
        ::close(file.descriptor);
        return proof::failed(ERR_CANNOT_OPEN_FILE, INVALID_HANDLE);
    }
    if (!reads && ::ftruncate(file.descriptor, 0) != 0) throw std::runtime_error("the disk of the tests failed");
    struct stat told;
    ::fstat(file.descriptor, &told);
    file.content.resize(static_cast<std::size_t>(told.st_size));
    if (::pread(file.descriptor, file.content.data(), file.content.size(), 0) != told.st_size)
        throw std::runtime_error("the disk of the tests failed");
    const int handle = proof::next_handle();
    proof::open_files()[handle] = file;
    return handle;
}

inline void FileFlush(int handle) { proof::file_of(handle).flush(); }

inline void FileClose(int handle) {
    proof::OpenFile &file = proof::file_of(handle);
    file.flush();
    ::close(file.descriptor);
    proof::open_files().erase(handle);
}

namespace proof {

// What a terminal does for a program that has ended in order.
inline void close_files() {
    while (!open_files().empty()) FileClose(open_files().begin()->first);
}

}  // namespace proof

inline ulong FileSize(int handle) { return proof::file_of(handle).content.size(); }
inline ulong FileTell(int handle) { return proof::file_of(handle).place; }
inline bool FileIsEnding(int handle) { return proof::file_of(handle).place >= proof::file_of(handle).content.size(); }

inline bool FileSeek(int handle, long offset, ENUM_FILE_POSITION origin) {
    proof::OpenFile &file = proof::file_of(handle);
    const long from = origin == SEEK_SET ? 0 : static_cast<long>(origin == SEEK_CUR ? file.place : file.content.size());
    if (from + offset < 0) throw std::logic_error("a place before the file");
    file.place = static_cast<std::size_t>(from + offset);
    return true;
}

namespace proof {

inline OpenFile *to_write(int handle, int kind) {
    OpenFile &file = file_of(handle);
    if (!(file.flags & kind)) throw std::logic_error("a binary file is no text file");
    if (!(file.flags & FILE_WRITE)) return failed(ERR_FILE_NOTTOWRITE, nullptr);
    return platform().disk != "full" ? &file : failed(ERR_FILE_NOTTOWRITE, nullptr);
}
inline OpenFile *to_read(int handle, int kind) {
    OpenFile &file = file_of(handle);
    if (!(file.flags & kind)) throw std::logic_error("a binary file is no text file");
    return file.flags & FILE_READ ? &file : failed(ERR_FILE_NOTTOREAD, nullptr);
}

}  // namespace proof

// Elements written; 0 when it cannot be done.
template <typename T> uint FileWriteArray(int handle, const Arr<T> &array, int from = 0, int count = WHOLE_ARRAY) {
    static_assert(std::is_trivially_copyable<T>::value, "FileWriteArray is for numbers and simple structures");
    proof::OpenFile *file = proof::to_write(handle, FILE_BIN);
    const long some = count == WHOLE_ARRAY ? array.size() - from : count;
    if (from < 0 || some < 0 || from + some > array.size()) throw std::out_of_range("array out of range");
    if (!file) return 0;
    for (long i = 0; i < some; i++) file->put(std::string(reinterpret_cast<const char *>(&array[from + i]), sizeof(T)));
    return static_cast<uint>(some);
}

// Elements read: as many as the rest of the file has, or count. A growing array grows to hold them and no further.
template <typename T> uint FileReadArray(int handle, Arr<T> &array, int from = 0, int count = WHOLE_ARRAY) {
    static_assert(std::is_trivially_copyable<T>::value, "FileReadArray is for numbers and simple structures");
    proof::OpenFile *file = proof::to_read(handle, FILE_BIN);
    if (!file || from < 0 || count < WHOLE_ARRAY) return 0;
    long some = static_cast<long>((file->content.size() - std::min(file->place, file->content.size())) / sizeof(T));
    if (count != WHOLE_ARRAY) some = std::min(some, static_cast<long>(count));
    if (from + some > array.size()) array.resize(from + some);
    for (long i = 0; i < some; i++, file->place += sizeof(T))
        std::memcpy(static_cast<void *>(&array[from + i]), file->content.data() + file->place, sizeof(T));
    return static_cast<uint>(some);
}

// Bytes written; nothing is put behind the text.
inline uint FileWriteString(int handle, const string &text) {
    proof::OpenFile *file = proof::to_write(handle, FILE_TXT);
    if (file) file->put(proof::utf8(text));
    return file ? static_cast<uint>(proof::utf8(text).size()) : 0;
}

// One line without its end.
inline string FileReadString(int handle) {
    proof::OpenFile *file = proof::to_read(handle, FILE_TXT);
    if (!file || FileIsEnding(handle)) return string();
    const std::size_t end = std::min(file->content.find('\n', file->place), file->content.size());
    std::string line = file->content.substr(file->place, end - file->place);
    file->place = std::min(end + 1, file->content.size());
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return proof::text_of(line);
}

inline bool FileIsExist(const string &name, int common = 0) {
    const std::string path = proof::path_of(name, common);
    return (!path.empty() && proof::is_file(path)) || proof::failed(ERR_FILE_NOT_EXIST, false);
}

inline bool FileDelete(const string &name, int common = 0) {
    const std::string path = proof::path_of(name, common);
    if (path.empty() || !proof::is_file(path)) return proof::failed(ERR_FILE_NOT_EXIST, false);
    if (!proof::is_free(path) || proof::platform().disk == "read-only")
        return proof::failed(ERR_FILE_CANNOT_DELETE, false);
    proof::point("deleting a file");
    return std::filesystem::remove(path);
}

namespace proof {

// Whether a file may come to stand there; the file that is there goes.
inline bool makes_room(const std::string &path, int mode) {
    if (!is_file(path)) return true;
    if (!(mode & FILE_REWRITE)) return failed(ERR_FILE_CANNOT_REWRITE, false);
    if (!is_free(path)) return failed(ERR_CANNOT_OPEN_FILE, false);
    point("taking the old file away");
    return std::filesystem::remove(path);
}

}  // namespace proof

inline bool FileMove(const string &source, int common, const string &target, int mode) {
    const std::string from = proof::path_of(source, common), to = proof::path_of(target, mode);
    if (from.empty() || to.empty()) return false;
    if (!proof::is_file(from)) return proof::failed(ERR_FILE_NOT_EXIST, false);
    if (!proof::is_free(from) || proof::platform().disk == "read-only" || proof::platform().disk == "stuck")
        return proof::failed(ERR_CANNOT_OPEN_FILE, false);
    if (!proof::makes_room(to, mode)) return false;
    proof::point("moving a file");
    std::filesystem::create_directories(std::filesystem::path(to).parent_path());
    std::filesystem::rename(from, to);
    return true;
}

inline bool FileCopy(const string &source, int common, const string &target, int mode) {
    const std::string from = proof::path_of(source, common), to = proof::path_of(target, mode);
    if (from.empty() || to.empty()) return false;
    if (!proof::is_file(from)) return proof::failed(ERR_FILE_NOT_EXIST, false);
    if (proof::platform().disk == "full" || proof::platform().disk == "read-only")
        return proof::failed(ERR_CANNOT_OPEN_FILE, false);
    if (!proof::makes_room(to, mode)) return false;
    proof::point("copying a file");
    std::filesystem::create_directories(std::filesystem::path(to).parent_path());
    return std::filesystem::copy_file(from, to);
}

inline bool FolderCreate(const string &name, int common = 0) {
    const std::string path = proof::path_of(name, common);
    if (path.empty()) return false;
    std::filesystem::create_directories(path);
    return true;
}

#endif
