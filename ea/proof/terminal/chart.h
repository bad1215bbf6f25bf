// Labels on the chart: kept so that a test can read them, and drawn by nobody.
#ifndef COUNTERSIGN_PROOF_CHART_H
#define COUNTERSIGN_PROOF_CHART_H

#include <map>

#include "terminal/constants.h"
#include "terminal/json.h"
#include "terminal/platform.h"

enum ENUM_OBJECT { OBJ_LABEL = 102, OBJ_BUTTON = 103, OBJ_EDIT = 107, OBJ_RECTANGLE_LABEL = 110 };
enum ENUM_OBJECT_PROPERTY_INTEGER {
    OBJPROP_COLOR, OBJPROP_STYLE, OBJPROP_WIDTH, OBJPROP_BACK, OBJPROP_ZORDER, OBJPROP_HIDDEN, OBJPROP_SELECTED,
    OBJPROP_SELECTABLE, OBJPROP_READONLY, OBJPROP_TYPE, OBJPROP_FONTSIZE, OBJPROP_STATE, OBJPROP_XDISTANCE,
    OBJPROP_YDISTANCE, OBJPROP_XSIZE, OBJPROP_YSIZE, OBJPROP_BGCOLOR, OBJPROP_BORDER_COLOR, OBJPROP_BORDER_TYPE,
    OBJPROP_CORNER, OBJPROP_ANCHOR, OBJPROP_ALIGN
};
enum ENUM_OBJECT_PROPERTY_STRING { OBJPROP_NAME, OBJPROP_TEXT, OBJPROP_TOOLTIP, OBJPROP_FONT };
enum ENUM_BASE_CORNER { CORNER_LEFT_UPPER, CORNER_LEFT_LOWER, CORNER_RIGHT_LOWER, CORNER_RIGHT_UPPER };
enum ENUM_ANCHOR_POINT {
    ANCHOR_LEFT_UPPER, ANCHOR_LEFT, ANCHOR_LEFT_LOWER, ANCHOR_LOWER, ANCHOR_RIGHT_LOWER, ANCHOR_RIGHT,
    ANCHOR_RIGHT_UPPER, ANCHOR_UPPER, ANCHOR_CENTER
};
enum ENUM_BORDER_TYPE { BORDER_FLAT, BORDER_RAISED, BORDER_SUNKEN };
enum ENUM_LINE_STYLE { STYLE_SOLID, STYLE_DASH, STYLE_DOT };

// Blue, green and red in one number.
typedef int color;
#define clrNONE (-1)
#define clrBlack 0x000000
#define clrWhite 0xffffff
#define clrGray 0x808080
#define clrSilver 0xc0c0c0
#define clrDimGray 0x696969
#define clrRed 0x0000ff
#define clrCrimson 0x3c14dc
#define clrTomato 0x4763ff
#define clrOrange 0x00a5ff
#define clrGold 0x00d7ff
#define clrGreen 0x008000
#define clrLime 0x00ff00
#define clrLimeGreen 0x32cd32
#define clrSeaGreen 0x578b2e
#define clrDodgerBlue 0xff901e
#define clrSteelBlue 0xb48246
#define clrMidnightBlue 0x701919

namespace proof {

struct ChartObject {
    ENUM_OBJECT type = OBJ_LABEL;
    std::map<int, long> integers = {};
    std::map<int, std::string> strings = {};
};
inline std::map<std::string, ChartObject> &chart_objects() {
    static std::map<std::string, ChartObject> objects;
    return objects;
}
inline ChartObject *chart_object(const string &name) {
    const auto found = chart_objects().find(utf8(name));
    return found == chart_objects().end() ? failed(ERR_OBJECT_NOT_FOUND, nullptr) : &found->second;
}

// What stands on the chart: {"name": "text", ...}.
inline std::string panel() {
    std::string written;
    for (auto &[name, object] : chart_objects())
        written += (written.empty() ? "" : ", ") + json_text(name) + ": " + json_text(object.strings[OBJPROP_TEXT]);
    return "{" + written + "}";
}

}  // namespace proof

inline long ChartID() { return 132984675341234; }
inline void ChartRedraw(long = 0) {}

inline bool ObjectCreate(long, const string &name, ENUM_OBJECT type, int, datetime, double) {
    if (StringLen(name) == 0 || StringLen(name) > 63) throw std::logic_error("no name of an object");
    proof::chart_objects()[proof::utf8(name)].type = type;
    return true;
}
inline int ObjectFind(long, const string &name) { return proof::chart_object(name) ? 0 : -1; }
inline bool ObjectDelete(long, const string &name) {
    return proof::chart_objects().erase(proof::utf8(name)) > 0 || proof::failed(ERR_OBJECT_NOT_FOUND, false);
}
inline int ObjectsDeleteAll(long, const string &prefix, int = -1, int = -1) {
    const std::string told = proof::utf8(prefix);
    int count = 0;
    for (auto place = proof::chart_objects().begin(); place != proof::chart_objects().end();) {
        const bool meant = place->first.compare(0, told.size(), told) == 0;
        place = meant ? proof::chart_objects().erase(place) : std::next(place);
        count += meant ? 1 : 0;
    }
    return count;
}
inline bool ObjectSetInteger(long, const string &name, ENUM_OBJECT_PROPERTY_INTEGER property, long value) {
    proof::ChartObject *object = proof::chart_object(name);
    if (object) object->integers[property] = value;
    return object != nullptr;
}
inline long ObjectGetInteger(long, const string &name, ENUM_OBJECT_PROPERTY_INTEGER property) {
    proof::ChartObject *object = proof::chart_object(name);
    return object ? object->integers[property] : 0;
}
// A chart shows 63 characters of a text, and keeps no more.
inline bool ObjectSetString(long, const string &name, ENUM_OBJECT_PROPERTY_STRING property, const string &text) {
    proof::ChartObject *object = proof::chart_object(name);
    const int shown = property == OBJPROP_TEXT ? std::min(StringLen(text), 63) : StringLen(text);
    if (object) object->strings[property] = proof::utf8(StringSubstr(text, 0, shown));
    return object != nullptr;
}
inline string ObjectGetString(long, const string &name, ENUM_OBJECT_PROPERTY_STRING property) {
    proof::ChartObject *object = proof::chart_object(name);
    return object ? proof::text_of(object->strings[property]) : string();
}

#endif
