// SPDX-License-Identifier: MIT
#include "study.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <prefer/batch/minibatch.hpp>
#include <prefer/loss/diffusion_dpo.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/report/progress.hpp>
#include <prefer/text/number.hpp>
#include <prefer/train/learning_rate.hpp>
#include <prefer/train/trainer.hpp>

namespace diffusion {

namespace {

using prefer::report::steady_seconds;

/// Minus the score is E, so this is denoising score matching. Not prefer::nll, which is over pairs: here is
/// one completion each.
constexpr auto denoising_error =
    prefer::unpaired_loss([](auto const& example) { return -example.log_prob; });

/// Held-out pairs see noise that no step of a training saw.
constexpr std::uint64_t held_out_draw = 0xffffffff;

constexpr std::uint64_t most_rows = std::uint64_t{1} << 26;

std::size_t points_in_all(study_options const& options) { return options.points * 3 / 2; }

/// Point i belongs to mode i modulo modes: equally likely, so no chance enters the shares.
std::vector<float> points_on(ring const& modes, study_options const& options) {
  std::vector<float> out(2 * points_in_all(options));
  prefer::fill_normal(std::span(out),
                      {.seed = options.seed, .purpose = prefer::random_purpose::data}, 0.0,
                      ring::deviation);
  for (std::size_t i = 0; 2 * i != out.size(); ++i) {
    auto const centre = modes.centre(i % modes.modes());
    out[2 * i] += static_cast<float>(centre.x);
    out[2 * i + 1] += static_cast<float>(centre.y);
  }
  return out;
}

}  // namespace

ring::ring(std::size_t modes, std::vector<std::size_t> const& preferred) : preferred_(modes) {
  for (std::size_t const mode : preferred) {
    if (mode >= modes) {
      prefer::refuse("preferred mode " + std::to_string(mode) + " is not one of 0 to " +
                     std::to_string(modes - 1));
    }
    preferred_[mode] = true;
  }
  auto const count = std::count(preferred_.begin(), preferred_.end(), true);
  prefer::expects(count > 0, "at least one mode must be preferred");
  prefer::expects(static_cast<std::size_t>(count) < modes,
                  "at least one mode must not be preferred");
}

ring::position ring::centre(std::size_t mode) const {
  double const angle =
      2 * std::numbers::pi * static_cast<double>(mode) / static_cast<double>(modes());
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

std::size_t ring::nearest(position p) const {
  std::size_t best = 0;
  double distance = HUGE_VAL;
  for (std::size_t mode = 0; mode != modes(); ++mode) {
    auto const c = centre(mode);
    double const d = std::hypot(p.x - c.x, p.y - c.y);
    if (d < distance) {
      best = mode;
      distance = d;
    }
  }
  return best;
}

bool ring::holds(position p) const {
  auto const c = centre(nearest(p));
  return std::hypot(p.x - c.x, p.y - c.y) < 3 * deviation;
}

study::study(study_options const& options, prefer::executor threads)
    : options_(options),
      ring_(options.modes, options.preferred),
      threads_(threads),
      start_(1, 2, points_on(ring_, options),
             {.hidden = options.hidden, .steps = options.noise_levels, .seed = options.seed}) {
  prefer::expects(options.points >= 2 * options.modes, "points must be at least two per mode");
  for (auto const steps : {options.start_steps, options.tune_steps}) {
    if (steps <= most_rows / options.batch_size) continue;
    prefer::refuse(std::to_string(steps) + " steps of " + std::to_string(options.batch_size) +
                   " are more than " + std::to_string(most_rows) +
                   " points or pairs, which must fit in memory");
  }
  mode_of_.resize(points_in_all(options));
  for (std::size_t i = 0; i != mode_of_.size(); ++i) mode_of_[i] = i % ring_.modes();
}

prefer::choice_data study::pairs(std::size_t count, bool held_out) const {
  std::vector<std::uint32_t> chosen;
  std::vector<std::uint32_t> rejected;
  std::size_t const begin = held_out ? options_.points : 0;
  std::size_t const end = held_out ? mode_of_.size() : options_.points;
  for (std::size_t i = begin; i != end; ++i) {
    (ring_.prefers(mode_of_[i]) ? chosen : rejected).push_back(static_cast<std::uint32_t>(i));
  }
  prefer::random_stream numbers({.seed = options_.seed,
                                 .purpose = prefer::random_purpose::subset,
                                 .index = held_out ? 1u : 0u});
  prefer::choice_data out;
  for (std::size_t i = 0; i != count; ++i) {
    std::uint32_t const better = chosen[prefer::below(numbers, chosen.size())];
    out.add_pair(0, better, rejected[prefer::below(numbers, rejected.size())]);
  }
  return out;
}

study_row study::start(program::kept_trainings& kept, watcher const& on_step) {
  // Rows address the noise, so a point that is seen again is another row.
  prefer::choice_data data;
  for (std::size_t i = 0; i != options_.start_steps * options_.batch_size; ++i) {
    data.add_labelled(0, static_cast<std::uint32_t>(i % options_.points), true);
  }
  prefer::no_reference<float> none;
  double const begin = steady_seconds();
  prefer::trainer run(start_, denoising_error, none, data,
                      {.batch_size = options_.batch_size,
                       .seed = options_.seed,
                       .rate = prefer::learning_rate::cosine(
                           {.peak = options_.start_rate, .steps = options_.start_steps}),
                       .threads = threads_});
  kept.run(run, "start", [&](prefer::step_report const&) { on_step(); });
  study_row row{.model = "start", .seconds = steady_seconds() - begin};
  judge(start_, row);
  return row;
}

study_row study::tune(double beta, program::kept_trainings& kept, watcher const& on_step) {
  model policy = start_;
  auto reference = prefer::frozen(start_);
  auto const data = pairs(options_.tune_steps * options_.batch_size, false);
  double const begin = steady_seconds();
  prefer::trainer run(policy, prefer::diffusion_dpo{.beta = beta}, reference, data,
                      {.batch_size = options_.batch_size,
                       .seed = options_.seed,
                       .rate = options_.tune_rate,
                       .reference_is_start = true,
                       .threads = threads_});
  kept.run(run, "beta-" + prefer::text::shortest(beta),
           [&](prefer::step_report const&) { on_step(); });
  study_row row{.model = "diffusion_dpo", .beta = beta, .seconds = steady_seconds() - begin};
  judge(policy, row);
  return row;
}

void study::judge(model& policy, study_row& row) {
  auto const data = pairs(options_.points, true);
  prefer::choice_minibatch gathered;
  std::vector<std::uint32_t> rows(data.size());
  for (std::size_t i = 0; i != rows.size(); ++i) rows[i] = static_cast<std::uint32_t>(i);
  gathered.gather(data, rows);
  auto batch = gathered.slice(0, data.size());
  batch.draw = held_out_draw;
  std::vector<float> ours(batch.completions());
  std::vector<float> starts(batch.completions());
  policy.use(threads_);
  start_.use(threads_);
  policy.log_prob(batch, ours);
  start_.log_prob(batch, starts);
  std::size_t right = 0;
  for (std::size_t i = 0; i != ours.size(); i += 2) {
    float const margin = (ours[i] - ours[i + 1]) - (starts[i] - starts[i + 1]);
    if (margin > 0) ++right;
    row.error_chosen -= static_cast<double>(ours[i]);
    row.error_rejected -= static_cast<double>(ours[i + 1]);
  }
  auto const count = static_cast<double>(data.size());
  row.implicit_accuracy = static_cast<double>(right) / count;
  row.error_chosen /= count;
  row.error_rejected /= count;
  draw_samples(policy, row);
}

// The divergence of the policy's chain x_K ... x_1 from the start model's, by the chain rule:
//
//   KL = sum over t >= 2 of E |mean(x_t) - start_mean(x_t)|^2 / (2 deviation_t^2)
//
// The last step, to x_0, adds no noise, so it is left out. The divergence of the distributions of x_1,
// which differs from x_0 by little noise, is at most this.
void study::draw_samples(model& policy, study_row& row) {
  std::vector<float> points(2 * options_.samples);
  std::vector<float> starts(points.size());
  double kl = 0.0;
  policy.sample(0, options_.seed, points, [&](std::size_t t, auto x, auto noise) {
    auto const back = policy.schedule().back(t);
    if (program::interrupted) throw program::stop();
    if (back.deviation == 0.0) return;
    start_.predict_noise(0, t, x, starts);
    // The mean of a step holds the noise with this factor.
    double const factor = back.x0 * policy.schedule().noise(t) / policy.schedule().signal(t);
    double squares = 0.0;
    for (std::size_t i = 0; i != points.size(); ++i) {
      double const gap = static_cast<double>(noise[i]) - static_cast<double>(starts[i]);
      squares += gap * gap;
    }
    kl += squares * factor * factor / (2 * back.deviation * back.deviation);
  });
  std::size_t preferred = 0;
  std::size_t on_data = 0;
  for (std::size_t i = 0; i != points.size(); i += 2) {
    ring::position const p{points[i], points[i + 1]};
    row.samples.push_back(p);
    bool const somewhere = std::isfinite(p.x) && std::isfinite(p.y);
    if (somewhere && ring_.prefers(ring_.nearest(p))) ++preferred;
    if (somewhere && ring_.holds(p)) ++on_data;
  }
  auto const count = static_cast<double>(options_.samples);
  row.kl_start = kl / count;
  row.preferred = static_cast<double>(preferred) / count;
  row.on_data = static_cast<double>(on_data) / count;
}

}  // namespace diffusion
