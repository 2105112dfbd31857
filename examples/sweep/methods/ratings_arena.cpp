// SPDX-License-Identifier: MIT
#include "ratings_arena.hpp"

#include "run_meter.hpp"

namespace sweep {

namespace {

// As recommend fits it.
constexpr double fitted_centering = 0.01;
constexpr std::size_t fitted_batch = 1024;
constexpr std::uint64_t fitted_epochs = 6;
constexpr double fitted_rate = 0.005;

recommend::reward_model fitted(recommend::model const& start, prefer::choice_data const& pairs,
                               std::uint64_t seed, method_options const& how) {
  bool const as_dpo = how.fit == reward_fit::descent;
  prefer::train_options training{.seed = seed};
  if (as_dpo) {
    training.batch_size = pairs.size();
    training.steps = how.steps;
    training.rate = how.rate;
  } else {
    training.batch_size = fitted_batch;
    training.epochs = fitted_epochs;
    training.rate = fitted_rate;
  }
  return recommend::fit_reward(start, pairs, as_dpo ? 0.0 : fitted_centering, training, {}, {});
}

}  // namespace

ratings_arena::ratings_arena(ratings const& of, ratings_pairs const& given, std::uint64_t seed,
                             method_options const& options)
    : of_(of),
      start_(of.trained(seed, false)),
      reward_([&] {
        run_meter meter;
        auto model = fitted(start_, given.labelled(), seed, options);
        meter.hold();
        reward_seconds_ = meter.seconds();
        reward_peak_bytes_ = meter.peak_bytes();
        return model;
      }()),
      labels_(given.drawn()),
      people_(recommend::people_with_preferences(of.data())),
      known_{.start = recommend::said_by(start_),
             .reward = recommend::said_by(reward_.policy()),
             .items = of.data().items} {
  for (auto const& each : start_.parameters()) parameters_ += each.value.size();
  start_reward_ = recommend::mean_score(of_.data(), known_.start, known_.reward);
}

progress_point ratings_arena::judge(recommend::item_log_probs const& policy, std::uint64_t step,
                                    spending const& spent) const {
  auto const& data = of_.data();
  progress_point out{
      .step = step, .spent = spent, .quality = judge_ratings(data, policy, known_.start)};
  // The start says nothing next to itself.
  if (out.quality.kl_start != 0.0) {
    out.quality.pair_accuracy = recommend::judge_pairs(data, policy, 1.0, known_.start).accuracy;
  }
  out.learned_reward = recommend::mean_score(data, policy, known_.reward) - start_reward_;
  return out;
}

}  // namespace sweep
