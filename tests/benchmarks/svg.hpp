// SPDX-License-Identifier: MIT

/// @file
/// Line plots as SVG: what a benchmark has measured, to be looked at.

#ifndef LARDER_TESTS_BENCHMARKS_SVG_HPP
#define LARDER_TESTS_BENCHMARKS_SVG_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder_bench {

/// How an axis is divided.
enum class Scale { linear, logarithmic };

/// One line of a plot: its name, and its points from left to right. Logarithmic axes need positive ones.
struct Series {
    std::string name{};
    std::vector<std::pair<double, double>> points{};
};

/// One axis. A linear y-axis shows zero, so that heights compare.
struct Axis {
    std::string label{};
    Scale scale = Scale::linear;
    std::string unit{};  ///< follows the numbers
};

/// A plot of several series, with a legend in the order in which they end.
///
/// ```cpp
/// Plot plot{"Hits", "u64 to u64, Zipf 0.99", {"threads"}, {"million a second"}};
/// plot.add("larder find", {{1, 20}, {2, 39}});
/// plot.write("throughput.svg");
/// ```
class Plot {
public:
    Plot(std::string title, std::string subtitle, Axis x, Axis y)
        : title_{std::move(title)},
          subtitle_{std::move(subtitle)},
          x_{std::move(x)},
          y_{std::move(y)} {}

    /// Adds a line; one without points is left out.
    void add(std::string name, std::vector<std::pair<double, double>> points) {
        if (!points.empty()) {
            series_.push_back({std::move(name), std::move(points)});
        }
    }

    [[nodiscard]] bool empty() const noexcept { return series_.empty(); }

    /// The whole file.
    [[nodiscard]] std::string svg() const {
        std::string out = head();
        text(out, left, 30, "title", "start", title_);
        text(out, left, 50, "soft", "start", subtitle_);
        if (!series_.empty()) {
            const Range x = range(x_, &std::pair<double, double>::first, false);
            const Range y = range(y_, &std::pair<double, double>::second, true);
            grid(out, x, y);
            lines(out, x, y);
            legend(out);
        }
        return out + "</svg>\n";
    }

    /// @throws std::runtime_error  if it cannot be written
    void write(const std::string& path) const {
        std::ofstream file{path, std::ios::binary};
        file << svg();
        if (!file.flush()) {
            throw std::runtime_error{"cannot write " + path};
        }
    }

private:
    static constexpr double width = 860;
    static constexpr double height = 470;
    static constexpr double left = 76;
    static constexpr double right = 640;  // the legend is beyond
    static constexpr double top = 76;
    static constexpr double bottom = 410;

    struct Range {
        double low;
        double high;
        Scale scale;
        std::vector<double> ticks;

        // From 0 to 1.
        [[nodiscard]] double at(double value) const {
            return scale == Scale::logarithmic ? std::log(value / low) / std::log(high / low)
                                               : (value - low) / (high - low);
        }
    };

    // Colours that the colour-blind tell apart; black is the text's own.
    static std::string colour(std::size_t index) {
        static constexpr std::array<std::string_view, 8> colours{
            "#0072b2", "#d55e00", "#009e73", "#cc79a7",
            "#e69f00", "#56b4e9", "#8c6d31", "currentColor"};
        return std::string{colours[index % colours.size()]};
    }
    // The second round of colours is dashed.
    static std::string dashes(std::size_t index) {
        return index < 8 ? "" : " stroke-dasharray=\"6 4\"";
    }

    static std::string number(double value) {
        std::array<char, 64> text{};
        if (std::abs(value) >= 1e6) {
            std::snprintf(text.data(), text.size(), "%.4gM", value / 1e6);
        } else if (std::abs(value) >= 1e3) {
            std::snprintf(text.data(), text.size(), "%.4gk", value / 1e3);
        } else {
            std::snprintf(text.data(), text.size(), "%.4g", std::abs(value) < 1e-12 ? 0.0 : value);
        }
        return text.data();
    }
    static std::string px(double value) {
        std::array<char, 64> text{};
        std::snprintf(text.data(), text.size(), "%.1f", value);
        return text.data();
    }
    static std::string escaped(std::string_view text) {
        std::string out;
        for (const char c : text) {
            switch (c) {
                case '&': out += "&amp;"; break;
                case '<': out += "&lt;"; break;
                case '>': out += "&gt;"; break;
                case '"': out += "&quot;"; break;
                default: out += c;
            }
        }
        return out;
    }

    static void tag(std::string& out, std::initializer_list<std::string_view> parts) {
        for (const std::string_view part : parts) {
            out += part;
        }
        out += '\n';
    }
    static void text(std::string& out, double x, double y, std::string_view kind,
                     std::string_view anchor, std::string_view what) {
        tag(out, {"<text x=\"", px(x), "\" y=\"", px(y), "\" class=\"", kind, "\" text-anchor=\"",
                  anchor, "\">", escaped(what), "</text>"});
    }

    [[nodiscard]] static std::string head() {
        std::string out;
        tag(out, {"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", px(width), " ",
                  px(height), "\" width=\"", px(width), "\" height=\"", px(height), "\">"});
        return out + R"(<style>
svg { background: #fff; color: #24292f; font: 13px system-ui, "DejaVu Sans", Arial, sans-serif }
text { fill: currentColor }
.title { font-size: 18px; font-weight: 600 }
.soft { opacity: .7 }
.grid { stroke: currentColor; stroke-opacity: .15 }
.axis { stroke: currentColor; stroke-opacity: .6 }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round }
@media (prefers-color-scheme: dark) { svg { background: #0d1117; color: #e6edf3 } }
</style>
)";
    }

    // Where there are few different values, they are the marks; else round ones.
    [[nodiscard]] Range range(const Axis& axis, double std::pair<double, double>::*part,
                              bool from_zero) const {
        std::set<double> values;
        for (const Series& series : series_) {
            for (const auto& point : series.points) {
                values.insert(point.*part);
            }
        }
        Range range{*values.begin(), *values.rbegin(), axis.scale, {}};
        const bool few = !from_zero && values.size() <= 8;
        if (axis.scale == Scale::logarithmic) {
            if (few) {
                range.ticks.assign(values.begin(), values.end());
            } else {
                log_ticks(range);
            }
        } else {
            if (from_zero) {
                range.low = (std::min)(range.low, 0.0);
                range.high = (std::max)(range.high, 0.0);
            }
            if (few) {
                range.ticks.assign(values.begin(), values.end());
            } else {
                linear_ticks(range);
            }
        }
        if (!(range.low < range.high)) {
            range.high = range.low + (std::max)(std::abs(range.low), 1.0);
        }
        return range;
    }
    static void linear_ticks(Range& range) {
        const double span = (std::max)(range.high - range.low, 1e-9);
        const double rough = std::pow(10, std::floor(std::log10(span / 5)));
        double step = rough;
        for (const double factor : {1.0, 2.0, 2.5, 5.0, 10.0}) {
            step = rough * factor;
            if (span / step <= 6) {
                break;
            }
        }
        range.low = std::floor(range.low / step + 1e-9) * step;
        range.high = std::ceil(range.high / step - 1e-9) * step;
        const auto count = std::lround((range.high - range.low) / step);
        for (long i = 0; i <= count; ++i) {
            range.ticks.push_back(range.low + static_cast<double>(i) * step);
        }
    }
    static void log_ticks(Range& range) {
        const double decades = std::log10(range.high / range.low);
        range.low = std::pow(10, std::floor(std::log10(range.low) + 1e-9));
        range.high = std::pow(10, std::ceil(std::log10(range.high) - 1e-9));
        for (double decade = range.low; decade <= range.high * 1.0001; decade *= 10) {
            for (const double factor : {1.0, 2.0, 5.0}) {
                const double tick = decade * factor;
                if ((factor == 1.0 || decades < 2) && tick <= range.high * 1.0001) {
                    range.ticks.push_back(tick);
                }
            }
        }
    }

    [[nodiscard]] static double x_of(const Range& x, double value) {
        return left + 14 + x.at(value) * (right - left - 28);
    }
    [[nodiscard]] static double y_of(const Range& y, double value) {
        return bottom - y.at(value) * (bottom - top);
    }

    void grid(std::string& out, const Range& x, const Range& y) const {
        for (const double tick : y.ticks) {
            const std::string at = px(y_of(y, tick));
            const bool zero = y.scale == Scale::linear && std::abs(tick) < 1e-12;
            tag(out, {"<line class=\"", zero ? "axis" : "grid", "\" x1=\"", px(left), "\" x2=\"",
                      px(right), "\" y1=\"", at, "\" y2=\"", at, "\"/>"});
            text(out, left - 9, y_of(y, tick) + 4.5, "soft", "end", number(tick) + y_.unit);
        }
        double last = -std::numeric_limits<double>::infinity();
        for (const double tick : x.ticks) {
            const std::string at = px(x_of(x, tick));
            tag(out, {"<line class=\"grid\" x1=\"", at, "\" x2=\"", at, "\" y1=\"", px(top),
                      "\" y2=\"", px(bottom), "\"/>"});
            if (x_of(x, tick) > last + 44) {  // or the numbers would meet
                last = x_of(x, tick);
                text(out, last, bottom + 20, "soft", "middle", number(tick) + x_.unit);
            }
        }
        text(out, (left + right) / 2, bottom + 44, "", "middle", x_.label);
        const std::string middle = px((top + bottom) / 2);
        tag(out,
            {"<text x=\"20\" y=\"", middle, "\" text-anchor=\"middle\" transform=\"rotate(-90 20 ",
             middle, ")\">", escaped(y_.label), "</text>"});
    }

    void lines(std::string& out, const Range& x, const Range& y) const {
        // The first is drawn last: it is what the plot is about.
        for (std::size_t i = series_.size(); i-- > 0;) {
            std::string path;
            std::string marks;
            for (const auto& [at, value] : series_[i].points) {
                const std::string spot = px(x_of(x, at)) + ' ' + px(y_of(y, value));
                path += (path.empty() ? "M" : "L") + spot;
                const auto space = spot.find(' ');
                tag(marks, {"<circle r=\"3.5\" cx=\"", spot.substr(0, space), "\" cy=\"",
                            spot.substr(space + 1), "\" fill=\"", colour(i), "\"><title>",
                            escaped(series_[i].name), ": ", number(value), y_.unit, " at ",
                            number(at), x_.unit, "</title></circle>"});
            }
            tag(out, {"<path class=\"line\" stroke=\"", colour(i), "\"", dashes(i), " d=\"", path,
                      "\"/>"});
            out += marks;
        }
    }

    // Beside the ends of the lines, from the highest to the lowest.
    void legend(std::string& out) const {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < series_.size(); ++i) {
            order.push_back(i);
        }
        std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
            return series_[a].points.back().second > series_[b].points.back().second;
        });
        double at = top + 10;
        for (const std::size_t i : order) {
            tag(out, {"<line stroke=\"", colour(i), "\"", dashes(i), " stroke-width=\"3\" x1=\"",
                      px(right + 18), "\" x2=\"", px(right + 42), "\" y1=\"", px(at), "\" y2=\"",
                      px(at), "\"/>"});
            text(out, right + 50, at + 4.5, "", "start", series_[i].name);
            at += (std::min)(22.0, (bottom - top) / static_cast<double>(order.size()));
        }
    }

    std::string title_;
    std::string subtitle_;
    Axis x_;
    Axis y_;
    std::vector<Series> series_{};
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_SVG_HPP
