// SPDX-License-Identifier: MIT
#include "measured.hpp"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>

#include "../program/estimate.hpp"

namespace rlhf_claims {

found::found(std::vector<std::vector<measured>> const& seeds) {
  if (seeds.empty()) return;
  for (std::size_t i = 0; i != seeds.front().size(); ++i) {
    measured const& what = seeds.front()[i];
    mean_of_seeds out{
        .setting = what.setting, .method = what.method, .at = what.at, .measure = what.measure};
    std::vector<double> values;
    for (auto const& seed : seeds) {
      prefer::expects(seed.size() == seeds.front().size() && seed[i].measure == what.measure,
                      "found: every seed measures the same things in the same order");
      if (!std::isnan(seed[i].value)) values.push_back(seed[i].value);
    }
    auto const [mean, error] = program::estimate_of(values);
    out.mean = mean;
    out.standard_error = values.size() < 2 ? std::numeric_limits<double>::quiet_NaN() : error;
    out.seeds = values.size();
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
