// SPDX-License-Identifier: MIT
#include "measured.hpp"

#include <cmath>
#include <limits>

#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>

namespace rlhf_claims {

found::found(std::vector<std::vector<measured>> const& seeds) {
  if (seeds.empty()) return;
  for (std::size_t i = 0; i != seeds.front().size(); ++i) {
    measured const& what = seeds.front()[i];
    mean_of_seeds out{
        .setting = what.setting, .method = what.method, .at = what.at, .measure = what.measure};
    double sum = 0.0;
    for (auto const& seed : seeds) {
      prefer::expects(seed.size() == seeds.front().size() && seed[i].measure == what.measure,
                      "found: every seed measures the same things in the same order");
      if (std::isnan(seed[i].value)) continue;
      sum += seed[i].value;
      ++out.seeds;
    }
    auto const count = static_cast<double>(out.seeds);
    out.mean = sum / count;
    double squares = 0.0;
    for (auto const& seed : seeds) {
      if (std::isnan(seed[i].value)) continue;
      squares += (seed[i].value - out.mean) * (seed[i].value - out.mean);
    }
    out.standard_error = out.seeds < 2 ? std::numeric_limits<double>::quiet_NaN()
                                       : std::sqrt(squares / (count - 1.0) / count);
    rows_.push_back(std::move(out));
  }
}

mean_of_seeds const& found::row(std::string const& setting, std::string const& method,
                                std::string const& measure, double at) const {
  for (auto const& each : rows_) {
    if (each.setting == setting && each.method == method && each.measure == measure &&
        each.at == at) {
      return each;
    }
  }
  prefer::refuse("found: nothing was measured as " + measure + " of " + method + " in " + setting +
                 " at " + prefer::text::shortest(at));
}

std::vector<mean_of_seeds> found::along(std::string const& setting, std::string const& method,
                                        std::string const& measure) const {
  std::vector<mean_of_seeds> out;
  for (auto const& each : rows_) {
    if (each.setting == setting && each.method == method && each.measure == measure) {
      out.push_back(each);
    }
  }
  return out;
}

std::string in_words(mean_of_seeds const& of, int precision) {
  return prefer::text::fixed(of.mean, precision) + " ± " +
         prefer::text::fixed(of.standard_error, precision);
}

double errors_from_zero(mean_of_seeds const& of) { return of.mean / of.standard_error; }

}  // namespace rlhf_claims
