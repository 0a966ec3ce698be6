// SPDX-License-Identifier: MIT

#include "comparison.hpp"

#include "tour/telling.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iomanip>
#include <sstream>
#include <string_view>

namespace examples {

namespace {

constexpr std::string_view ink = "#1f2933";
constexpr std::string_view faint = "#7b8794";
constexpr std::string_view line = "#d9dee4";
constexpr std::string_view band = "#f5f7f9";
constexpr std::string_view plain = "#9aa5b1";   // without larder
constexpr std::string_view strong = "#0f766e";  // with it
constexpr std::string_view wrong = "#c2410c";   // what should not be

constexpr double top = 116;
constexpr double row_height = 42;
constexpr double names_width = 190;

std::string number(double value) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(value < 1 ? 2 : value < 10 ? 1 : 0) << value;
    return out.str();
}

// Elements at pixels, collected.
class Drawing {
public:
    void rectangle(double x, double y, double width, double height, std::string_view fill,
                   double corner = 0) {
        out_ << "<rect x='" << x << "' y='" << y << "' width='" << width << "' height='" << height
             << "' rx='" << corner << "' fill='" << fill << "'/>\n";
    }
    void stroke(double x1, double y1, double x2, double y2, std::string_view colour,
                double width = 1) {
        out_ << "<line x1='" << x1 << "' y1='" << y1 << "' x2='" << x2 << "' y2='" << y2
             << "' stroke='" << colour << "' stroke-width='" << width << "'/>\n";
    }
    void dot(double x, double y, std::string_view fill, std::string_view edge) {
        out_ << "<circle cx='" << x << "' cy='" << y << "' r='5.5' fill='" << fill << "' stroke='"
             << edge << "' stroke-width='2'/>\n";
    }
    void words(double x, double y, std::string_view text, std::string_view colour, int size = 12,
               std::string_view anchor = "start", std::string_view weight = "normal") {
        out_ << "<text x='" << x << "' y='" << y << "' fill='" << colour << "' font-size='" << size
             << "' text-anchor='" << anchor << "' font-weight='" << weight << "'>" << text
             << "</text>\n";
    }
    [[nodiscard]] std::string svg(double width, double height) const {
        std::ostringstream out;
        out << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << width << ' ' << height
            << "' width='" << width << "' height='" << height
            << "' font-family='Helvetica, Arial, \"DejaVu Sans\", sans-serif'>\n"
            << "<rect width='100%' height='100%' fill='#ffffff'/>\n"
            << out_.str() << "</svg>\n";
        return out.str();
    }

private:
    std::ostringstream out_;
};

double middle_of(std::size_t row) {
    return top + row_height * (static_cast<double>(row) + 0.5);
}

// A column of the drawing, with the same rows as its neighbours.
struct Panel {
    double x;
    double width;
    std::string_view title;
    std::string_view axis;

    void frame(Drawing& to, std::size_t rows) const {
        const double bottom = top + row_height * static_cast<double>(rows);
        to.words(x, top - 16, title, ink, 13, "start", "bold");
        to.words(x, bottom + 38, axis, faint);
    }
    void tick(Drawing& to, std::size_t rows, double at, const std::string& label) const {
        const double bottom = top + row_height * static_cast<double>(rows);
        to.stroke(at, top, at, bottom, line);
        to.words(at, bottom + 18, label, faint, 11, "middle");
    }
};

// An axis from one power of ten to another.
class Logarithmic {
public:
    Logarithmic(const Panel& panel, double least, double most)
        : panel_{panel},
          first_{std::floor(std::log10(least))},
          last_{std::max(std::ceil(std::log10(most)), first_ + 1)} {}

    [[nodiscard]] double at(double value) const {
        return panel_.x + panel_.width * (std::log10(value) - first_) / (last_ - first_);
    }
    void axis(Drawing& to, std::size_t rows) const {
        for (double decade = first_; decade <= last_; ++decade) {
            const double value = std::pow(10, decade);
            std::ostringstream label;
            label << value;
            panel_.tick(to, rows, at(value), label.str());
        }
    }

private:
    Panel panel_;
    double first_;
    double last_;
};

// Bars from zero; their values stand behind them.
void bars(Drawing& to, const Panel& panel, const std::vector<double>& values,
          const std::vector<std::string_view>& colours) {
    constexpr double room_for_values = 52;
    const double most = std::max(*std::max_element(values.begin(), values.end()), 1.0);
    panel.frame(to, values.size());
    panel.tick(to, values.size(), panel.x, "0");
    for (std::size_t row = 0; row < values.size(); ++row) {
        const double length = (panel.width - room_for_values) * values[row] / most;
        const double y = middle_of(row);
        if (values[row] > 0) {
            to.rectangle(panel.x, y - 9, std::max(length, 2.0), 18, colours[row], 2);
        }
        to.words(panel.x + length + 7, y + 4,
                 with_commas(static_cast<std::uint64_t>(std::llround(values[row]))), ink);
    }
}

}  // namespace

std::string chart(const std::vector<Measured>& all) {
    const std::size_t rows = all.size();
    std::vector<std::string_view> colours;
    std::vector<double> statements;
    std::vector<double> stale;
    std::vector<double> lost;
    double least = all.front().write_p50;
    double most = least;
    for (const Measured& one : all) {
        colours.push_back(colours.size() < contestants_without_larder ? plain : strong);
        statements.push_back(one.statements_per_1000);
        stale.push_back(1e6 * static_cast<double>(one.stale) / static_cast<double>(one.reads));
        lost.push_back(static_cast<double>(one.lost));
        least = std::min({least, one.read_p50, one.write_p50});
        most = std::max({most, one.read_p99, one.write_p50});
    }
    const std::vector<std::string_view> alarming(rows, wrong);

    const Panel read{names_width + 24, 320, "Read: median ○, 99th percentile ●", "µs, log scale"};
    const Panel write{read.x + read.width + 52, 250, "Write: median ○", "µs, log scale"};
    const Panel cost{write.x + write.width + 52, 160, "Statements", "per 1,000 requests"};
    const Panel old{cost.x + cost.width + 28, 130, "Stale reads", "per 1,000,000 reads"};
    const Panel gone{old.x + old.width + 28, 150, "Lost by kill -9", "acknowledged writes"};
    const double width = gone.x + gone.width + 16;
    const double height = top + row_height * static_cast<double>(rows) + 62;

    Drawing to;
    to.words(24, 38, "Caching strategies under one workload", ink, 20, "start", "bold");
    to.words(24, 62, about_the_workload(), faint, 13);
    for (std::size_t row = 0; row < rows; ++row) {
        if (row % 2 == 0) {
            to.rectangle(12, top + row_height * static_cast<double>(row), width - 24, row_height,
                         band, 4);
        }
        to.words(24, middle_of(row) + 5, all[row].name, ink, 14, "start",
                 colours[row] == strong ? "bold" : "normal");
    }

    const Logarithmic reads{read, least, most};
    const Logarithmic writes{write, least, most};
    read.frame(to, rows);
    reads.axis(to, rows);
    write.frame(to, rows);
    writes.axis(to, rows);
    for (std::size_t row = 0; row < rows; ++row) {
        const Measured& one = all[row];
        const double y = middle_of(row);
        to.stroke(reads.at(one.read_p50), y, reads.at(one.read_p99), y, colours[row], 3);
        to.dot(reads.at(one.read_p50), y, "#ffffff", colours[row]);
        to.dot(reads.at(one.read_p99), y, colours[row], colours[row]);
        to.words(reads.at(one.read_p50) - 10, y + 4, number(one.read_p50), ink, 12, "end");
        to.words(reads.at(one.read_p99) + 10, y + 4, number(one.read_p99), ink);
        to.dot(writes.at(one.write_p50), y, "#ffffff", colours[row]);
        to.words(writes.at(one.write_p50) + 10, y + 4, number(one.write_p50), ink);
    }
    bars(to, cost, statements, colours);
    bars(to, old, stale, alarming);
    bars(to, gone, lost, alarming);
    return to.svg(width, height);
}

}  // namespace examples
