// Variables of the terminal: numbers by name, shared by its programs, on the disk only when they are flushed.
#ifndef COUNTERSIGN_PROOF_GLOBALS_H
#define COUNTERSIGN_PROOF_GLOBALS_H

#include <cinttypes>
#include <filesystem>
#include <fstream>
#include <map>

#include "terminal/constants.h"
#include "terminal/platform.h"

namespace proof {

struct Globals {
    std::map<std::string, double> values = {};

    Globals() {
        std::ifstream file(path());
        std::string name, value;
        while (std::getline(file, name) && std::getline(file, value)) values[name] = std::strtod(value.c_str(), nullptr);
    }

    // All at once: a terminal writes its database of variables as a whole.
    void keep() const {
        std::filesystem::create_directories(setting("EA_DATA", "/nowhere"));
        std::ofstream file(path() + ".new");
        for (const auto &[name, value] : values) {
            char written[64];
            std::snprintf(written, sizeof written, "%a", value);
            file << name << "\n" << written << "\n";
        }
        file.close();
        std::filesystem::rename(path() + ".new", path());
    }

 private:
    static std::string path() { return setting("EA_DATA", "/nowhere") + "/gvariables.txt"; }
};

inline Globals &globals() {
    static Globals one;
    return one;
}

inline std::string global_name(const string &name) {
    if (StringLen(name) == 0 || StringLen(name) > 63) throw std::logic_error("no name of a variable");
    return utf8(name);
}

}  // namespace proof

inline bool GlobalVariableCheck(const string &name) {
    return proof::globals().values.count(proof::global_name(name)) > 0;
}
inline double GlobalVariableGet(const string &name) {
    if (!GlobalVariableCheck(name)) return proof::failed(ERR_GLOBALVARIABLE_NOT_FOUND, 0.0);
    return proof::globals().values[proof::global_name(name)];
}
inline bool GlobalVariableGet(const string &name, double &value) {
    if (!GlobalVariableCheck(name)) return proof::failed(ERR_GLOBALVARIABLE_NOT_FOUND, false);
    value = proof::globals().values[proof::global_name(name)];
    return true;
}
// The moment it was set; 0 when it could not be.
inline datetime GlobalVariableSet(const string &name, double value) {
    proof::globals().values[proof::global_name(name)] = value;
    return TimeLocal();
}
inline bool GlobalVariableSetOnCondition(const string &name, double value, double only_if) {
    if (!GlobalVariableCheck(name)) return proof::failed(ERR_GLOBALVARIABLE_NOT_FOUND, false);
    double &kept = proof::globals().values[proof::global_name(name)];
    if (kept < only_if || kept > only_if) return false;
    kept = value;
    return true;
}
inline bool GlobalVariableDel(const string &name) {
    return proof::globals().values.erase(proof::global_name(name)) > 0 ||
           proof::failed(ERR_GLOBALVARIABLE_NOT_FOUND, false);
}
inline void GlobalVariablesFlush() {
    proof::point("flushing variables");
    proof::globals().keep();
}

#endif
