// Just as much JSON as the line to the broker needs. Numbers stay as they are written until somebody wants them.
#ifndef COUNTERSIGN_PROOF_JSON_H
#define COUNTERSIGN_PROOF_JSON_H

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace proof {

struct Json {
    enum Kind { NOTHING, TRUTH, NUMBER, TEXT, LIST, OBJECT } kind = NOTHING;
    std::string text = {};  // of a text, a number, or true or false
    std::vector<Json> items = {};
    std::map<std::string, Json> members = {};

    bool truth() const { return kind == TRUTH ? text == "true" : kind == NUMBER && text != "0"; }
    double number() const { return kind == NUMBER ? std::stod(text) : 0.0; }
    // Magic numbers are unsigned in Python and signed in MQL5: the same 64 bits.
    long whole() const {
        if (kind == TRUTH) return truth() ? 1 : 0;
        if (kind != NUMBER) return 0;
        return text[0] == '-' ? std::stol(text) : static_cast<long>(std::stoull(text));
    }
    const Json &at(const std::string &name) const {
        static const Json nothing;
        const auto found = members.find(name);
        return found == members.end() ? nothing : found->second;
    }
};

class JsonReader {
 public:
    explicit JsonReader(const std::string &source) : source_(source), place_(0) {}

    Json read() {
        Json value;
        switch (next()) {
            case '{': read_object(value); break;
            case '[': read_list(value); break;
            case '"': value.kind = Json::TEXT, value.text = read_text(); break;
            default: read_word(value);
        }
        return value;
    }

 private:
    const std::string &source_;
    std::size_t place_;

    char next() {
        while (place_ < source_.size() && std::string(" \n\t\r").find(source_[place_]) != std::string::npos) place_++;
        if (place_ >= source_.size()) throw std::runtime_error("JSON that ends too early");
        return source_[place_];
    }
    bool takes(char wanted) {
        if (next() != wanted) return false;
        place_++;
        return true;
    }
    void read_object(Json &value) {
        value.kind = Json::OBJECT;
        for (takes('{'); !takes('}'); takes(',')) {
            next();
            const std::string name = read_text();
            takes(':');
            value.members[name] = read();
        }
    }
    void read_list(Json &value) {
        value.kind = Json::LIST;
        for (takes('['); !takes(']'); takes(',')) value.items.push_back(read());
    }
    void read_word(Json &value) {
        const std::size_t end = source_.find_first_of(",]} \n\t\r", place_);
        value.text = source_.substr(place_, end - place_);
        place_ += value.text.size();
        if (value.text == "null") return;
        value.kind = value.text == "true" || value.text == "false" ? Json::TRUTH : Json::NUMBER;
    }
    // Python escapes whatever is not ASCII, in UTF-16. Names and comments of the tests are in the basic plane.
    std::string read_text() {
        std::string text;
        for (place_++; source_.at(place_) != '"'; place_++) {
            if (source_[place_] != '\\') {
                text += source_[place_];
            } else if (source_.at(++place_) == 'u') {
                const uint unit = static_cast<uint>(std::stoul(source_.substr(place_ + 1, 4), nullptr, 16));
                append_utf8(text, unit);
                place_ += 4;
            } else {
                const std::string escapes = "nrtbf", meant = "\n\r\t\b\f";
                const std::size_t found = escapes.find(source_[place_]);
                text += found == std::string::npos ? source_[place_] : meant[found];
            }
        }
        place_++;
        return text;
    }
};

inline Json json_of(const std::string &source) { return JsonReader(source).read(); }

inline std::string json_text(const std::string &text) {
    std::string written = "\"";
    for (const char unit : text) {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<uint>(static_cast<uchar>(unit)));
        written += static_cast<uchar>(unit) < 32 ? escaped : unit == '"' || unit == '\\' ? std::string("\\") + unit
                                                                                    : std::string(1, unit);
    }
    return written + "\"";
}

inline std::string json_number(double number) {
    char written[40];
    std::snprintf(written, sizeof written, "%.17g", number);
    // Python tells whole numbers and others apart by the point.
    return std::string(written).find_first_of(".e") == std::string::npos ? std::string(written) + ".0" : written;
}

}  // namespace proof

#endif
