/// The whole client, without the messages of the wire (`messages.hpp`).
#pragma once

#include "blackbox_am/calls.hpp"
#include "blackbox_am/candidates.hpp"
#include "blackbox_am/client.hpp"
#include "blackbox_am/description.hpp"
#include "blackbox_am/errors.hpp"
#include "blackbox_am/event.hpp"
#include "blackbox_am/interrupt.hpp"
#include "blackbox_am/oracle_server.hpp"
#include "blackbox_am/progress.hpp"
#include "blackbox_am/spec.hpp"
#include "blackbox_am/study.hpp"
#include "blackbox_am/tensor.hpp"
#include "blackbox_am/watch.hpp"
