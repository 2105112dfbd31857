// SPDX-License-Identifier: MIT
#include "method_summary.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include <prefer/text/number.hpp>

namespace recommend {

namespace {

/// Of one setting, seed by seed.
std::vector<method_row const*> rows_of(std::vector<method_row> const& rows,
                                       method_setting const& what) {
  std::vector<method_row const*> out;
  for (method_row const& row : rows) {
    if (row.what == what) out.push_back(&row);
  }
  return out;
}

/// NDCG@10 of [seed][person].
using ranked = std::vector<std::vector<double>>;

ranked ndcg_of(std::vector<method_row const*> const& rows) {
  ranked out;
  for (auto const* row : rows) {
    out.emplace_back(row->quality.ndcg_of.begin(), row->quality.ndcg_of.end());
  }
  return out;
}

ranked difference(ranked a, ranked const& b) {
  for (std::size_t s = 0; s < a.size(); ++s) {
    for (std::size_t p = 0; p < a[s].size(); ++p) a[s][p] -= b[s][p];
  }
  return a;
}

/// Over the people whose number leaves `remainder` when divided by `divisor` and who are judged.
program::estimate over_people(ranked const& of, std::size_t divisor = 1,
                              std::size_t remainder = 0) {
  std::vector<double> person;
  std::vector<double> seed(of.size());
  auto const seeds = static_cast<double>(of.size());
  for (std::size_t p = 0; p < of.front().size(); ++p) {
    if (p % divisor != remainder || std::isnan(of.front()[p])) continue;
    person.push_back(0.0);
    for (std::size_t s = 0; s < of.size(); ++s) {
      person.back() += of[s][p] / seeds;
      seed[s] += of[s][p];
    }
  }
  if (person.empty()) return {};
  for (double& each : seed) each /= static_cast<double>(person.size());
  program::moments const by_person = program::moments_of(person);
  return {
      .mean = by_person.mean,
      .error = std::hypot(by_person.standard_error(), program::moments_of(seed).standard_error())};
}

std::vector<method_setting> settings_in(std::vector<method_row> const& rows) {
  std::vector<method_setting> out;
  for (method_row const& row : rows) {
    if (std::find(out.begin(), out.end(), row.what) == out.end()) out.push_back(row.what);
  }
  return out;
}

/// The setting of a method that ranks best for some people.
method_setting const* best_of(std::vector<method_row> const& rows,
                              std::vector<method_setting> const& settings,
                              std::string const& method, std::size_t divisor = 1,
                              std::size_t remainder = 0) {
  method_setting const* out = nullptr;
  double most = -1.0;
  for (method_setting const& each : settings) {
    if (each.method != method) continue;
    double const mean = over_people(ndcg_of(rows_of(rows, each)), divisor, remainder).mean;
    if (mean > most) {
      most = mean;
      out = &each;
    }
  }
  return out;
}

/// A method's NDCG@10, of odd people at the strength that even ones choose, and the other way round.
ranked chosen_by_others(std::vector<method_row> const& rows,
                        std::vector<method_setting> const& settings, std::string const& method,
                        std::vector<method_setting>& chosen) {
  ranked out;
  for (std::size_t half = 0; half < 2; ++half) {
    method_setting const* best = best_of(rows, settings, method, 2, 1 - half);
    chosen.push_back(*best);
    ranked const at_best = ndcg_of(rows_of(rows, *best));
    if (out.empty()) out = at_best;
    for (std::size_t s = 0; s < out.size(); ++s) {
      for (std::size_t p = half; p < out[s].size(); p += 2) out[s][p] = at_best[s][p];
    }
  }
  return out;
}

/// Methods in the order of their settings, each once.
std::vector<std::string> methods_in(std::vector<method_setting> const& settings) {
  std::vector<std::string> out;
  for (method_setting const& each : settings) {
    if (std::find(out.begin(), out.end(), each.method) == out.end()) out.push_back(each.method);
  }
  return out;
}

double best_in(std::vector<course_point> const& course) {
  double out = 0.0;
  for (course_point const& each : course) out = std::max(out, each.ndcg_at_10);
  return out;
}

/// When a course first has the target, which it reaches.
double seconds_to(std::vector<course_point> const& course, double target) {
  for (std::size_t i = 0; i < course.size(); ++i) {
    if (course[i].ndcg_at_10 < target) continue;
    if (i == 0) return course[0].seconds;
    double const rise = course[i].ndcg_at_10 - course[i - 1].ndcg_at_10;
    double const share = (target - course[i - 1].ndcg_at_10) / rise;
    return course[i - 1].seconds + share * (course[i].seconds - course[i - 1].seconds);
  }
  return course.back().seconds;
}

/// The 97.5 % point of Student's t.
double student(std::size_t degrees) {
  constexpr std::array points = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                 2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                 2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                 2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
  return degrees <= points.size() ? points[degrees - 1] : 1.96 + 2.4 / static_cast<double>(degrees);
}

}  // namespace

std::vector<method_summary> summarize(std::vector<method_row> const& rows) {
  auto const settings = settings_in(rows);
  method_setting const* const best_dpo = best_of(rows, settings, "dpo");
  std::vector<method_summary> out;
  for (method_setting const& what : settings) {
    auto const group = rows_of(rows, what);
    auto const mean = [&](auto const& number) {
      std::vector<double> values;
      for (auto const* row : group) values.push_back(static_cast<double>(number(*row)));
      return program::estimate_of(values);
    };
    method_summary s{.what = what, .seeds = group.size()};
    s.ndcg_at_10 = over_people(ndcg_of(group));
    if (best_dpo != nullptr && !(what == *best_dpo)) {
      s.over_dpo = over_people(difference(ndcg_of(group), ndcg_of(rows_of(rows, *best_dpo))));
    }
    s.hit_rate_at_10 = mean([](auto& r) { return *r.quality.hit_rate_at_10; }).mean;
    s.pair_accuracy = mean([](auto& r) { return r.quality.pair_accuracy; }).mean;
    s.kl_start = mean([](auto& r) { return r.quality.kl_start; });
    s.reward_gain = mean([](auto& r) { return r.reward_gain; });
    if (group.front()->reward) {
      s.reward = {
          .accuracy = mean([](auto& r) { return r.reward->accuracy; }).mean,
          .log_loss = mean([](auto& r) { return r.reward->log_loss; }).mean,
          .calibration_error = mean([](auto& r) { return r.reward->calibration_error; }).mean};
    }
    s.seconds = mean([](auto& r) { return r.seconds; });
    s.reward_seconds = mean([](auto& r) { return r.reward_seconds; }).mean;
    s.drawn_items = mean([](auto& r) { return r.drawn_items; }).mean;
    out.push_back(s);
  }
  return out;
}

std::vector<comparison> compare(std::vector<method_row> const& rows) {
  auto const settings = settings_in(rows);
  std::vector<comparison> out;
  if (best_of(rows, settings, "dpo") == nullptr) return out;
  std::vector<method_setting> of_dpo;
  ranked const dpo = chosen_by_others(rows, settings, "dpo", of_dpo);
  for (std::string const& method : methods_in(settings)) {
    comparison c{.method = method, .chosen = {}};
    ranked const found = chosen_by_others(rows, settings, method, c.chosen);
    c.ndcg_at_10 = over_people(found);
    c.over_dpo = over_people(difference(found, dpo));
    out.push_back(c);
  }
  return out;
}

std::vector<equal_reward> at_equal_reward(std::vector<method_row> const& rows) {
  auto const settings = settings_in(rows);
  std::vector<equal_reward> out;
  method_setting const* const of_dpo = best_of(rows, settings, "dpo");
  if (of_dpo == nullptr) return out;
  auto const dpo = rows_of(rows, *of_dpo);
  for (std::string const& method : methods_in(settings)) {
    method_setting const* const best = best_of(rows, settings, method);
    auto const own = rows_of(rows, *best);
    if (method == "dpo" || own.front()->course.empty() || dpo.front()->course.empty()) continue;
    equal_reward e{.what = *best, .dpo = *of_dpo};
    std::vector<double> seconds;
    std::vector<double> dpo_seconds;
    std::vector<double> log_ratio;
    for (std::size_t s = 0; s < own.size(); ++s) {
      double const target = std::min(best_in(own[s]->course), best_in(dpo[s]->course));
      if (!(target > own[s]->course.front().ndcg_at_10)) continue;  // the start's
      e.target += target;
      seconds.push_back(seconds_to(own[s]->course, target));
      dpo_seconds.push_back(seconds_to(dpo[s]->course, target));
      log_ratio.push_back(std::log(seconds.back() / dpo_seconds.back()));
    }
    e.seeds = seconds.size();
    if (e.seeds != 0) {
      e.target /= static_cast<double>(e.seeds);
      e.seconds = program::estimate_of(seconds);
      e.dpo_seconds = program::estimate_of(dpo_seconds);
      program::estimate const ratio = program::estimate_of(log_ratio);
      e.times = std::exp(ratio.mean);
      if (e.seeds > 1) {
        double const half = student(e.seeds - 1) * ratio.error;
        e.times_from = std::exp(ratio.mean - half);
        e.times_to = std::exp(ratio.mean + half);
      }
    }
    out.push_back(e);
  }
  return out;
}

std::string findings(std::vector<method_row> const& rows) {
  auto const all = compare(rows);
  std::vector<comparison const*> trained;
  for (comparison const& each : all) {
    if (each.method != "start" && each.method != "reward_model" && each.method != "optimum") {
      trained.push_back(&each);
    }
  }
  if (trained.size() < 2) return "";
  std::sort(trained.begin(), trained.end(),
            [](auto const* a, auto const* b) { return a->ndcg_at_10.mean > b->ndcg_at_10.mean; });
  auto const against_dpo = [](comparison const& c) {
    double const errors =
        c.over_dpo.error > 0.0 ? std::abs(c.over_dpo.mean) / c.over_dpo.error : 0.0;
    return prefer::text::fixed(std::abs(c.over_dpo.mean), 4) + " or " +
           prefer::text::fixed(errors, 1) + " standard errors " +
           (c.over_dpo.mean > 0.0 ? "above" : "below") + " dpo";
  };
  comparison const& best = *trained.front();
  std::string out = best.method + " ranks best: NDCG@10 of " +
                    prefer::text::fixed(best.ndcg_at_10.mean, 4) +
                    (best.method == "dpo" ? "" : ", " + against_dpo(best)) + ".";
  std::string same;
  std::string different;
  for (auto const* each : trained) {
    if (each->method == "dpo" || each == trained.front()) continue;
    bool const apart = std::abs(each->over_dpo.mean) > 1.96 * each->over_dpo.error;
    std::string& list = apart ? different : same;
    list += (list.empty() ? "" : "; ") + each->method + (apart ? " is " + against_dpo(*each) : "");
  }
  if (!different.empty()) out += " " + different + ".";
  if (!same.empty()) out += " Within 1.96 standard errors of dpo: " + same + ".";
  return out;
}

}  // namespace recommend
