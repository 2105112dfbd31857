// SPDX-License-Identifier: MIT
#include "comparison.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>
#include <prefer/version.hpp>

namespace sweep {

namespace {

using prefer::text::shortest;

constexpr char const* method_header =
    "settings,task,budget,amount,fit,method,loss,number,flip,bias,seed,judged,"
    "step,labels,scored,written,reward,kl_start,kl_bound,best_reward,learned_reward,"
    "pair_accuracy,reward_of_tenths,bytes,peak_bytes,seconds";
constexpr std::size_t method_key_fields = 12;
constexpr std::uint64_t judgements = 5;  // of a run, at most

std::string optional_number(std::optional<double> value) { return value ? shortest(*value) : ""; }

/// Numbers in one field.
std::string joined(std::vector<double> const& numbers) {
  std::string out;
  for (double const one : numbers) {
    if (!out.empty()) out += ';';
    out += shortest(one);
  }
  return out;
}

std::vector<double> split_numbers(std::string_view field) {
  std::vector<double> out;
  while (!field.empty()) {
    std::size_t const end = std::min(field.find(';'), field.size());
    out.push_back(number_in_field(field.substr(0, end)).value_or(NAN));
    field.remove_prefix(std::min(end + 1, field.size()));
  }
  return out;
}

std::string numbers_of(progress_point const& at, method_run const& of) {
  return std::to_string(at.step) + "," + std::to_string(at.spent.labels) + "," +
         std::to_string(at.spent.scored) + "," + std::to_string(at.spent.written) + "," +
         shortest(at.quality.reward) + "," + shortest(at.quality.kl_start) + "," +
         optional_number(at.kl_bound) + "," + optional_number(at.quality.best_reward) + "," +
         optional_number(at.learned_reward) + "," + optional_number(at.quality.pair_accuracy) +
         "," + joined(at.quality.reward_of_tenths) + "," + std::to_string(of.held.bytes()) + "," +
         std::to_string(of.peak_bytes) + "," + prefer::text::fixed(at.seconds, 6);
}

}  // namespace

std::vector<double> comparison::numbers_of(ground const& at, method const& one) const {
  switch (one.swept()) {
    case swept_number::n:
      return ns;
    case swept_number::steps:
      return steps;
    case swept_number::beta:
      break;
  }
  if (one.reads_loss() && !at.options.loss.has_beta) return {0.0};
  return betas;
}

bool comparison::has(ground const& at, method const& one) const {
  auto const& how = at.options;
  for (double const number : numbers_of(at, one)) {
    if (one.why_not(how, number).empty()) return true;
  }
  return false;
}

std::vector<label_noise> comparison::noises_of(ground const& at) const {
  if (at.options.budget == budget_kind::samples) return {{}};
  std::vector<label_noise> out;
  for (double const flip : flips) out.push_back({.flip = flip, .bias = bias});
  return out;
}

std::vector<method_setting> comparison::settings() const {
  std::vector<method_setting> out;
  for (std::size_t g = 0; g < grounds.size(); ++g) {
    for (std::size_t m = 0; m < methods.size(); ++m) {
      if (!has(grounds[g], *methods[m])) continue;
      for (label_noise const& noise : noises_of(grounds[g])) {
        for (double const number : numbers_of(grounds[g], *methods[m])) {
          auto const& how = grounds[g].options;
          if (!methods[m]->why_not(how, number).empty()) continue;
          out.push_back({g, m, number, noise});
        }
      }
    }
  }
  return out;
}

std::string ground::text() const {
  return of->settings() + " batch=" + std::to_string(options.batch);
}

std::string comparison::text() const {
  auto const& how = grounds.front().options;
  // Piece by piece: g++ 12 sees an overlap where a literal is added to a temporary string.
  std::string out = "sweep " PREFER_VERSION_STRING;
  out.append(" rate=").append(shortest(how.rate));
  out.append(" steps=").append(std::to_string(how.steps));
  return out.append(" rounds=").append(std::to_string(how.rounds));
}

namespace {

bool any_has(comparison const& all, ground const& at, double beta) {
  return std::any_of(all.methods.begin(), all.methods.end(), [&](auto const& each) {
    return each->swept() == swept_number::beta && each->why_not(at.options, beta).empty();
  });
}

}  // namespace

void expect_meaning(comparison const& all) {
  for (auto const& at : all.grounds) {
    std::string const budget = name_of(at.options.budget);
    for (auto const& one : all.methods) {
      for (double const number : all.numbers_of(at, *one)) {
        std::string const why = one->why_not(at.options, number);
        if (why.empty()) continue;
        bool const at_zero = one->swept() == swept_number::beta && number == 0.0;
        if (at_zero && all.has(at, *one) && any_has(all, at, number)) continue;
        prefer::refuse("--method " + one->name() + " with --budget " + budget + ": " + why);
      }
    }
  }
}

method_results::method_results(std::string const& path, comparison const& all)
    : all_(all), rows_(path, method_header, method_key_fields, all.text()) {}

std::string method_results::key(method_setting const& what, std::uint64_t seed,
                                std::uint64_t judged) const {
  auto const& at = all_.grounds[what.ground];
  auto const& one = *all_.methods[what.method];
  bool const labels = at.options.budget == budget_kind::labels;
  bool const has_number = !one.reads_loss() || at.options.loss.has_beta;
  return rows_.settings() + "," + at.text() + "," + name_of(at.options.budget) + "," +
         std::to_string(at.options.amount) + "," + (labels ? name_of(at.options.fit) : "") + "," +
         one.name() + "," + (one.reads_loss() ? at.options.loss.text : "") + "," +
         (has_number ? shortest(what.number) : "") + "," + shortest(what.noise.flip) + "," +
         shortest(what.noise.bias) + "," + std::to_string(seed) + "," +
         (judged == 0 ? "last" : std::to_string(judged));
}

bool method_results::has(method_setting const& what, std::uint64_t seed) const {
  return rows_.find(key(what, seed, 0)) != nullptr;
}

void method_results::add(method_setting const& what, std::uint64_t seed, method_run const& run) {
  std::vector<row_file::row> out;
  for (std::size_t i = 0; i < run.points.size(); ++i) {
    out.push_back(
        {key(what, seed, i + 1 == run.points.size() ? 0 : i + 1), numbers_of(run.points[i], run)});
  }
  rows_.add(out);
}

void method_results::finish() {
  rows_.finish([&](std::function<void(std::string const&)> const& write) {
    for (auto const& what : all_.settings()) {
      for (std::uint64_t seed = all_.first_seed; seed <= all_.last_seed(); ++seed) {
        for (std::uint64_t i = 1; i < judgements; ++i) write(key(what, seed, i));
        write(key(what, seed, 0));
      }
    }
  });
}

std::vector<method_results::run_result> method_results::at(method_setting const& what) const {
  std::vector<run_result> out;
  for (std::uint64_t seed = all_.first_seed; seed <= all_.last_seed(); ++seed) {
    run_result one{.seed = seed};
    for (std::uint64_t i = 1; i <= judgements; ++i) {
      auto const* const found = rows_.find(key(what, seed, i == judgements ? 0 : i));
      if (found == nullptr) continue;
      auto const field = fields_of(*found);
      auto const number = [&](std::size_t f) { return number_in_field(field[f]); };
      auto const whole = [&](std::size_t f) {
        return static_cast<std::uint64_t>(number(f).value_or(0.0));
      };
      one.points.push_back({.step = whole(0),
                            .spent = {whole(1), whole(2), whole(3)},
                            .quality = {.reward = number(4).value_or(NAN),
                                        .kl_start = number(5).value_or(NAN),
                                        .best_reward = number(7),
                                        .reward_of_tenths = split_numbers(field[10]),
                                        .pair_accuracy = number(9)},
                            .learned_reward = number(8),
                            .kl_bound = number(6),
                            .seconds = number(13).value_or(0.0)});
      one.bytes = whole(11);
      one.peak_bytes = whole(12);
    }
    if (!one.points.empty()) out.push_back(std::move(one));
  }
  return out;
}

}  // namespace sweep
